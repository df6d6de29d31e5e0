"""Whether a history of reads, writes and compare-and-sets of registers is linearizable. Pure.

``checking`` is the door. ``operations`` says what each operation demands of one register. ``zones`` decides a register
whose written values are all different, in the time that sorting takes; ``search`` decides every other one by looking
for an order, within a budget; ``shrinking`` finds the few operations that show why there is none.
"""
