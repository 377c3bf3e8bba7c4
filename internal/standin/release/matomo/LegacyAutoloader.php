<?php

// Loaded for the sake of old plugins; empty here.
