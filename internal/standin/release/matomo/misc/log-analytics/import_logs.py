#!/usr/bin/env python3
# Must not be readable by the web.
