using Gpt2;
using OrtCpr.Graph;

// Trains a GPT2 from its graph on token files, AdamW with several decays against AdamCPR without one.
try
{
    return CommandLine.Create(Experiment.Run).Parse([.. args.Select(CommandLine.Dashed)]).Invoke(new() { EnableDefaultExceptionHandler = false });
}
catch (OrtCprException error)
{
    Console.Error.WriteLine(error.Message);
    return 1;
}
