"""converter.handoff"""
