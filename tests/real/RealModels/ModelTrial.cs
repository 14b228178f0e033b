using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using OrtCpr;
using OrtCpr.Graph;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Optimizers;

namespace RealModels;

/// <summary>One model, trained for 30 steps on drawn data, exported and compared.</summary>
internal sealed record ModelTrial(string Path)
{
    private const int Batch = 8, Sequence = 32, Samples = 512, Side = 64, Steps = 30;

    public string Exporter { get; private init; } = "";

    public long Opset { get; private init; }

    public string Places { get; private init; } = "";

    public int Trained { get; private init; }

    public string Rows { get; private init; } = "";

    public double First { get; private init; }

    public double Last { get; private init; }

    /// <summary>Directional derivative by the gradient over the one by differences, less 1.</summary>
    public double GradientError { get; private init; }

    /// <summary>Largest difference of the model as it came, run by a plain session, from the run's prediction before
    /// training, over the largest output; null where it does not take this batch.</summary>
    public double? SourceError { get; private init; }

    /// <summary>Largest difference of the exported model, run by a plain session, from the run's evaluation, over the
    /// largest output.</summary>
    public double? ExportError { get; private init; }

    public TimeSpan Time { get; private init; }

    public string? Problem { get; private init; }

    public bool IsRight => Problem is null && Last < First && GradientError < 0.05 && ExportError < 1e-4 && SourceError is null or < 1e-4;

    public static ModelTrial Of(string path)
    {
        long start = Stopwatch.GetTimestamp();
        try
        {
            return Run(path) with { Time = Stopwatch.GetElapsedTime(start) };
        }
        catch (OrtCprException error)
        {
            return new ModelTrial(path) { Problem = error.Message, Time = Stopwatch.GetElapsedTime(start) };
        }
    }

    private static ModelTrial Run(string path)
    {
        ModelFacts head = ModelFacts.Read(path);
        string output = head.Output;
        TrainingPlan plan = TrainingGraphBuilder.Build(path, new TrainingOptions
        {
            Loss = new MseLoss { Output = head.Scores },
            Optimizer = new OptimizerOptions
            {
                Groups = [UpdateRule.AdamCpr(3e-4, constraint: new ConstrainNorm { Bound = Bound.AfterSteps(10) })],
            },
        });
        using var driver = new TrainingDriver(plan);
        using Batch batch = Drawn(plan, output, out string rows);
        double? source = ErrorOf(File.ReadAllBytes(path), head.Opset, driver, batch, output, Floats(driver.Predict(batch, output)[output]));
        double first = driver.EvalStep(batch).Loss, error = GradientErrorOf(driver, batch);
        for (int i = 0; i < Steps; i++) driver.Step(batch);
        using Evaluation last = driver.EvalStep(batch, output);
        using var stream = new MemoryStream();
        driver.ExportModel(stream, freeBatch: plan.FixedBatch is null);
        return new ModelTrial(path)
        {
            Exporter = head.Producer,
            Opset = head.Opset,
            Places = head.Places,
            Trained = plan.Trained.Count,
            Rows = rows,
            First = first,
            Last = last.Loss,
            GradientError = error,
            SourceError = source,
            ExportError = ErrorOf(stream.ToArray(), head.Opset, driver, batch, output, Floats(last[output])),
        };
    }

    // Numbers that a model of any kind takes: floating ones normally distributed, token ids below 1000, masks of ones.
    private static Batch Drawn(TrainingPlan plan, string output, out string rows)
    {
        var random = new Random(1);
        var batch = new Batch();
        rows = "1";
        foreach (BatchInput input in plan.BatchInputs)
        {
            string[] texts = [.. input.Dimensions ?? []];
            long[] dims = [.. texts.Select((d, i) => long.TryParse(d, CultureInfo.InvariantCulture, out long n) ? n
                : i == 0 || texts.Length == 3 || d == "batch" ? Batch : texts.Length == 4 ? Side
                    : input.Type == ElementType.Float ? Samples : Sequence)];
            if (input.IsLabel) dims = LabelShape(plan, batch, output, input, dims);
            else if (dims.Length > 0) rows = dims[0].ToString(CultureInfo.InvariantCulture);
            int count = (int)dims.Aggregate(1L, (n, d) => n * d);
            bool mask = input.Name.Contains("mask", StringComparison.OrdinalIgnoreCase);
            bool type = input.Name.Contains("type", StringComparison.OrdinalIgnoreCase);
            switch (input.Type)
            {
                case ElementType.Int64:
                    batch.Add(input.Name, [.. Enumerable.Range(0, count).Select(_ => dims.Length == 0 ? 16000L
                        : mask ? 1L : type ? 0L : random.Next(1000))], dims);
                    break;
                case ElementType.Bool:
                    batch.Add(input.Name, Enumerable.Repeat(true, count).ToArray(), dims);
                    break;
                default:
                    batch.Add(input.Name, [.. Enumerable.Range(0, count).Select(_ => (float)Normal(random))], dims);
                    break;
            }
        }
        return batch;
    }

    // The target has the output's shape, which only a run tells where it has symbols of its own.
    private static long[] LabelShape(TrainingPlan plan, Batch inputs, string output, BatchInput label, long[] dims)
    {
        if (label.Dimensions!.All(d => long.TryParse(d, CultureInfo.InvariantCulture, out _) || d == "batch")) return dims;
        using var driver = new TrainingDriver(plan);
        using Prediction prediction = driver.Predict(inputs, output);
        return prediction[output].GetTensorTypeAndShape().Shape;
    }

    private static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    // Along the gradient itself, where the derivative is its squared norm. Two widths, extrapolated, and that for several
    // widths: rounding spoils the narrow ones, curvature and kinks the wide ones, and a wrong gradient fits at none.
    private static double GradientErrorOf(TrainingDriver driver, Batch batch)
    {
        driver.LazyResetGrad();
        driver.TrainStep(batch);
        (string Name, float[] Start, float[] Slope)[] all = [.. driver.Plan.Trained.Select(p => (p.Name,
            driver.GetParameter(p.Name).ToArray<float>(), driver.GetGradient(p.Name).ToArray<float>()))];
        driver.LazyResetGrad();
        double square = all.Sum(p => p.Slope.Sum(g => (double)g * g)), size = all.Sum(p => p.Start.Sum(w => (double)w * w));
        if (square == 0 || !double.IsFinite(square)) return double.PositiveInfinity;
        double At(double step)
        {
            foreach ((string name, float[] start, float[] slope) in all)
            {
                driver.UpdateParameter(name, TensorData.From<float>([.. start.Zip(slope, (s, g) => (float)(s + (step * g)))],
                    [.. driver.GetParameter(name).Dimensions]));
            }
            return driver.EvalStep(batch).Loss;
        }
        double Difference(double h) => (At(h) - At(-h)) / (2 * h);
        double best = double.PositiveInfinity, widest = Math.Sqrt(size / square);
        foreach (double width in new[] { 1e-2, 1e-3, 1e-4, 1e-5 }.Select(w => w * widest))
        {
            double wide = Difference(width), narrow = Difference(width / 2);
            best = Math.Min(best, Math.Abs((((4 * narrow) - wide) / 3 / square) - 1));
            if (best < 1e-3) break;
        }
        At(0);
        return best;
    }

    // A file whose opset ONNX Runtime has no kernels for is compared after export only by its raised form: not at all.
    private static double? ErrorOf(byte[] model, long opset, TrainingDriver driver, Batch batch, string output, double[] expected)
    {
        if (opset < 7) return null;
        string[] inputs = [.. driver.Plan.BatchInputs.Where(i => !i.IsLabel).Select(i => i.Name)];
        using var session = new InferenceSession(model);
        if (session.InputMetadata.Any(i => i.Value.Dimensions is [> 0, ..] d && inputs.Contains(i.Key)
            && d[0] != batch.Tensors[i.Key].GetTensorTypeAndShape().Shape[0]))
        {
            return null;
        }
        using var run = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results =
            session.Run(run, inputs, [.. inputs.Select(i => batch.Tensors[i])], [output]);
        return expected.Zip(Floats(results[0]), (e, a) => Math.Abs(e - a)).Max() / Math.Max(0.01, expected.Max(Math.Abs));
    }

    private static double[] Floats(OrtValue value) => [.. value.GetTensorDataAsSpan<float>().ToArray().Select(v => (double)v)];

    private static string Shown(double? error) => error?.ToString("G2", CultureInfo.InvariantCulture) ?? "–";

    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"| {System.IO.Path.GetFileNameWithoutExtension(Path)} | {Exporter} | {Opset} | {Places} | {Trained} | {Rows} | "
        + $"{First:G4} → {Last:G4} | {GradientError:G2} | {Shown(SourceError)} | {Shown(ExportError)} | {Time.TotalSeconds:F1} | "
        + $"{(Problem is null ? IsRight ? "right" : "wrong" : Problem.ReplaceLineEndings(" "))} |");
}
