"""One cluster, as deployer and attach provider see it: connection, watch, ways to a pod, permissions.

Must not live here: what a run makes in a cluster (``deployer.k8s``), and which pods are nodes (``attach.k8s``).
"""
