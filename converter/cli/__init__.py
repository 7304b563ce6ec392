"""converter.cli"""
