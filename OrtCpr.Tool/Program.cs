using System.CommandLine;
using OrtCpr.Graph;
using OrtCpr.Tool.Verify;

RootCommand root = new("Trains exported ONNX models with AdamCPR on stock ONNX Runtime.");
foreach (Command command in VerifyCommand.Create()) root.Add(command);
try
{
    return root.Parse(args).Invoke();
}
catch (OrtCprException error)
{
    Console.Error.WriteLine(error.Message);
    return 1;
}
