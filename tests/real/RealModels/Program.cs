using System.Globalization;
using RealModels;

// One line of a table for each model file given: what was trained, and whether it came out right.
if (args.Length == 0)
{
    Console.Error.WriteLine("Usage: RealModels <model.onnx> [<model.onnx> ...]");
    return 2;
}
Console.WriteLine("| model | exporter | opset | weights in | trained | batch | loss, 30 steps | gradient | before | export | seconds "
    + "| result |");
Console.WriteLine("|---|---|---:|---|---:|---:|---|---:|---:|---:|---:|---|");
int failed = 0;
foreach (string path in args)
{
    ModelTrial trial = ModelTrial.Of(path);
    Console.WriteLine(trial.ToString());
    if (!trial.IsRight) failed++;
}
Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"\n{args.Length - failed} of {args.Length} right"));
return failed == 0 ? 0 : 1;
