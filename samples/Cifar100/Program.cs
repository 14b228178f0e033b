using Cifar100;

// Trains ResNet18 on CIFAR-100 as the paper does, with the command lines of the authors' script.
return Settings.Run(args, Experiment.Run);
