using Cifar100;
using Samples;

// Trains ResNet18 on CIFAR-100 as the paper does, with the command lines of the authors' script.
return SampleProgram.Run(CommandLine.Create(Experiment.Run), args);
