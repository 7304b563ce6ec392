"""converter.report"""
