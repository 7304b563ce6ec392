"""converter.source"""
