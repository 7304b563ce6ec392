"""converter.steps"""
