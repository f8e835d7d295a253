"""Repair of code: proposals for a line, judged by both streams of the network, ranked by a calibrated rule."""
