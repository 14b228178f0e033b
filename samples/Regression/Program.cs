using OrtCpr;
using OrtCpr.Graph;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Optimizers;

// An exported multi-layer perceptron (10 inputs, 5 outputs) learns five sines of sums of its inputs.
var random = new Random(1);
float[] x = [.. Enumerable.Range(0, 2000 * 10).Select(_ => (random.NextSingle() * 2) - 1)];
float[] y = [.. Enumerable.Range(0, 2000 * 5).Select(i => MathF.Sin(x[i / 5 * 10] + x[(i / 5 * 10) + 1 + (i % 5)]))];

MseLoss loss = new();
string model = Path.Combine(AppContext.BaseDirectory, "mlp.onnx");
using TrainingDriver driver = TrainingDriver.Create(model, new TrainingOptions
{
    Loss = loss,
    Optimizer = new OptimizerOptions
    {
        Groups = [UpdateRule.AdamCpr(3e-3, constraint: new ConstrainNorm { Bound = Bound.AfterSteps(200) })],
    },
});
Console.WriteLine(driver.Plan.Parameters);

for (int step = 0; step <= 2000; step++)
{
    int row = step * 50 % 2000;
    using Batch batch = new Batch().Add("x", x.AsMemory(row * 10, 500), 50, 10)
        .Add(loss.TargetName, y.AsMemory(row * 5, 250), 50, 5);
    double value = driver.Step(batch);
    if (step % 400 == 0) Console.WriteLine($"step {step,4}  loss {value:F5}");
}
Console.WriteLine(driver.Optimizer.ConstraintSummary);
driver.ExportModel("trained.onnx");
