"""Kind files that come with Nodeyard, ``NAME.yaml`` each. Their nodes are attached or external; none is started."""
