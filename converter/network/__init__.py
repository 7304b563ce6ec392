"""Network configuration: one module per stack, each of which can be found and turned to DHCP.

A converted guest asks for its address on whatever network card it finds: the card of an EC2
instance has another MAC address and another place on the bus than the source's had.
"""
