"""Judging an encoder: probes, baselines, retrieval, intervals, the report card."""
