using System.CommandLine;
using OrtCpr.Graph;
using OrtCpr.Tool.Verify;

RootCommand root = new("Trains exported ONNX models with AdamCPR on stock ONNX Runtime.");
foreach (Command command in VerifyCommand.Create()) root.Add(command);
try
{
    // Mistakes of the user are ours to print, in one line and without a stack trace.
    return root.Parse(args).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (OrtCprException error)
{
    Console.Error.WriteLine(error.Message);
    return 1;
}
