"""Drawing the program's frames: blend, label, transition, cutout. A library that services and benchmarks use."""
