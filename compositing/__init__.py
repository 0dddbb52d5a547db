"""Drawing the program's pictures: blend, label, transition, cutout. A library that services and benchmarks use."""
