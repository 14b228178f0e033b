using ExistingPipeline;
using OrtCpr.Graph.Optimizers;
using OrtCpr.OrtTraining;

// The program of then on stock ONNX Runtime; then the same program goes on with AdamCPR in place of AdamW, from the moments of the first
// run.
string artifacts = args.Length > 0 ? args[0] : Path.Combine(AppContext.BaseDirectory, "mlp");
string output = args.Length > 1 ? args[1] : Path.Combine(Path.GetTempPath(), "ExistingPipeline");
string swapped = Path.Combine(output, "adamcpr");
Directory.CreateDirectory(output);

(float before, float after) = Pipeline.Run(artifacts, output, steps: 100);
Console.WriteLine($"AdamW    100 steps: loss {before:F4} -> {after:F4}");

var swap = OptimizerSwap.Open(artifacts, Path.Combine(output, "checkpoint"));
swap.Write(new OptimizerOptions { Groups = [UpdateRule.AdamCpr(1e-3, swap.Adam, new ConstrainNorm { Bound = Bound.TimesInitial(1) })] },
    swapped);
(before, after) = Pipeline.Run(swapped, swapped, steps: 200);
Console.WriteLine($"AdamCPR  100 more:  loss {before:F4} -> {after:F4}; {swap.Trained.Count(p => p.Constrained)} matrices constrained");
