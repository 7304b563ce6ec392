"""What is done to a guest: one module per step, in the order of `steps.order`.

A step reads facts and plans changes on a recording guest; it runs nothing and decides nothing from
the output of a command in the guest.
"""
