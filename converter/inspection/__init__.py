"""converter.inspection"""
