using System.CommandLine;
using OrtCpr.Graph;
using OrtCpr.Tool;
using OrtCpr.Tool.Artifacts;
using OrtCpr.Tool.Gradcheck;
using OrtCpr.Tool.Inspect;
using OrtCpr.Tool.Report;
using OrtCpr.Tool.Figures;
using OrtCpr.Tool.Heads;
using OrtCpr.Tool.Train;
using OrtCpr.Tool.Verify;

RootCommand root = new("Trains exported ONNX models with AdamCPR on stock ONNX Runtime.");
Command[] commands =
[
    TrainCommand.Create(), EvaluateCommand.Create(), ExportCommand.Create(), PlotCommand.Create(), ReportCommand.Create(),
    BenchCommand.Create(), InspectCommand.Create(),
    GradcheckCommand.Create(), ImportWeightsCommand.Create(), HeadCommand.Create(), DevicesCommand.Create(), ArtifactsCommand.Create(),
    .. VerifyCommand.Create(),
];
foreach (Command command in commands) root.Add(command);
// Underscores and dashes are equal in the names of options.
// Messages of the library name members of its options; here they name ours.
TextWriter error = Console.Error;
Console.SetError(OptionNames.Writer(error));
string[] words = [.. args.Select(a => a.StartsWith("--", StringComparison.Ordinal) ? Dashed(a) : a)];
try
{
    // Mistakes of the user are ours to print, in one line and without a stack trace.
    return root.Parse(RunConfig.Expand(root, words)).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (OrtCprException mistake)
{
    Console.Error.WriteLine(mistake.Message);
    return 1;
}
catch (OperationCanceledException)
{
    Console.Error.WriteLine("stopped");
    return 130;
}
#pragma warning disable CA1031 // Whatever is left is a mistake of ours, and nobody should have to read a stack trace for it.
catch (Exception mistake)
#pragma warning restore CA1031
{
    UnexpectedError.Report(mistake, args);
    return 70;
}
finally
{
    Console.SetError(error);
}

static string Dashed(string option)
{
    int end = option.IndexOf('=', StringComparison.Ordinal);
    return end < 0 ? option.Replace('_', '-') : option[..end].Replace('_', '-') + option[end..];
}
