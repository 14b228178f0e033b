using System.Globalization;
using OrtCpr;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Schedules;

// A training loop of one's own on the verbs of TrainingDriver: two optimizers for two groups, schedules, accumulated batches, a head that
// is trained alone first, evaluation on held-out data, a checkpoint in the middle. The model tells five clouds of points in ten dimensions
// apart.
CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
string folder = args.Length > 0 ? args[0] : "custom";
Directory.CreateDirectory(folder);
const int Steps = 300, Micro = 2, Size = 32;

TrainingOptions options = new()
{
    Loss = new CrossEntropyLoss { LabelSmoothing = 0.05 },
    Optimizer = new OptimizerOptions
    {
        Groups =
        [
            UpdateRule.AdamCpr(2e-3, constraint: new ConstrainNorm { Regularizer = Regularizer.Std, Bound = Bound.TimesInitial(1) }),
            UpdateRule.Sgd(0.05, new ScaleByMomentum(0.9, Nesterov: true), weightDecay: 1e-4) with { Parameters = ["layers.2.*"] },
        ],
        MaxGradientNorm = 1,
        TotalSteps = Steps,
    },
};
using TrainingDriver driver = TrainingDriver.Create(Path.Combine(AppContext.BaseDirectory, "mlp.onnx"), options);
Console.WriteLine(driver.Plan.Parameters);
driver.SetSchedule(Schedule.Cosine(Steps, warmupSteps: 20), group: 0);
driver.SetSchedule(Schedule.Step(100, 0.3), group: 1);

// First the head alone: the body keeps its weights, moments and bounds.
driver.Optimizer.Freeze("layers.0.*", "layers.1.*");
for (int step = 0; step < Steps; step++)
{
    if (step == 50) driver.Optimizer.Unfreeze("*");
    driver.LazyResetGrad();
    double loss = 0;
    for (int micro = 0; micro < Micro; micro++)
    {
        using Batch batch = Clouds((step * Micro) + micro);
        loss += driver.TrainStep(batch) / Micro;
    }
    driver.OptimizerStep(1.0 / Micro);
    if (step == Steps / 2) TrainingCheckpoint.Save(driver, Path.Combine(folder, "half.safetensors"), new TrainingProgress { Batch = step });
    if (step % 50 == 49)
    {
        using Batch held = Clouds(-1);
        using Evaluation evaluation = driver.EvalStep(held, "logits");
        Console.WriteLine($"step {step + 1,3}  loss {loss:F4}  held-out loss {evaluation.Loss:F4}  accuracy {Accuracy(evaluation, -1):P0}  "
            + $"rates {driver.Optimizer.GetLearningRate(0):F5} {driver.Optimizer.GetLearningRate(1):F5}");
    }
}
Console.WriteLine(driver.Optimizer.ConstraintSummary);
foreach (ConstraintInfo row in driver.Optimizer.GetConstraints())
{
    Console.WriteLine($"{row.Name}: lambda {row.Lambda:G4}, kappa {row.Kappa:G4}");
}
driver.ExportModel(Path.Combine(folder, "model.onnx"));

// Points around five centres; the same seed gives the same points.
static Batch Clouds(int seed)
{
    var random = new Random(seed);
    float[] x = new float[Size * 10];
    long[] labels = Labels(seed);
    for (int i = 0; i < x.Length; i++) x[i] = MathF.Cos((labels[i / 10] * 3) + (i % 10 * 1.7f)) + (1.2f * (random.NextSingle() - 0.5f));
    return new Batch().Add("x", x, Size, 10).Add("labels", labels, Size);
}

static long[] Labels(int seed)
{
    var random = new Random(seed * 31);
    return [.. Enumerable.Range(0, Size).Select(_ => (long)random.Next(5))];
}

static double Accuracy(Evaluation evaluation, int seed)
{
    ReadOnlySpan<float> logits = evaluation["logits"].GetTensorDataAsSpan<float>();
    long[] labels = Labels(seed);
    int right = 0;
    for (int i = 0; i < Size; i++)
    {
        ReadOnlySpan<float> row = logits.Slice(i * 5, 5);
        int best = 0;
        for (int c = 1; c < 5; c++)
        {
            if (row[c] > row[best]) best = c;
        }
        if (best == labels[i]) right++;
    }
    return (double)right / Size;
}
