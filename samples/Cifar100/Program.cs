using Cifar100;
using OrtCpr.Graph;

// Trains ResNet18 on CIFAR-100 as the paper does, with the command lines of the authors' script.
try
{
    // Underscores and dashes are equal in the names of options.
    return CommandLine.Create(Experiment.Run).Parse([.. args.Select(CommandLine.Dashed)]).Invoke(new() { EnableDefaultExceptionHandler = false });
}
catch (OrtCprException error)
{
    Console.Error.WriteLine(error.Message);
    return 1;
}
