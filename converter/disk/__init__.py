"""converter.disk"""
