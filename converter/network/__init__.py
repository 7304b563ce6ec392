"""converter.network"""
