using System.CommandLine;
using System.Text.Json;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.OrtTraining;
using OrtCpr.Graph.Parameters;
using OrtCpr.Tool.Verify;

namespace OrtCpr.Tool.Artifacts;

// `ortcpr artifacts fixtures CASE… --out DIR`: artifacts for the genuine runtime, with our own trajectory beside them to be replayed there.
// A case is one of kind model-gradient: its batch is trained on again and again.
internal static class FixturesCommand
{
    // λ, κ, four columns of the detector, and whether the parameter is constrained.
    private const int StateTail = 7;

    // What replays multiply a drift with.
    private const double DriftFactor = 10;

    public static Command Create()
    {
        Argument<string[]> cases =
            new("CASE")
            {
                Description = "Cases of kind model-gradient (NAME.safetensors beside NAME.onnx).",
                Arity = ArgumentArity.OneOrMore
            };
        Option<string> folder = new("--out") { Description = "Folder for the fixtures, one each.", Required = true };
        Option<int> steps = new("--steps") { Description = "Steps of each trajectory.", DefaultValueFactory = _ => 20 };
        Option<bool> bounds =
            new("--all-bounds") { Description = "Every bound of AdamCPR with every measure for each case, not for the first alone." };
        Command command = new("fixtures", "Writes artifacts for the genuine runtime with batches and our own trajectory, to be replayed "
            + "there.") { cases, folder, steps, bounds };
        command.SetAction(r =>
        {
            string[] paths = r.GetValue(cases)!;
            int count = r.GetValue(steps);
            if (count < 1) throw new ToolException($"--steps is {count}; expected at least 1.");
            for (int i = 0; i < paths.Length; i++)
            {
                Write(paths[i], r.GetValue(folder)!, count, i == 0 || r.GetValue(bounds)
                    ? [.. FixtureRecipes.Common, .. FixtureRecipes.Bounds] : FixtureRecipes.Common);
            }
            return 0;
        });
        return command;
    }

    internal static void Write(string path, string folder, int steps, IReadOnlyList<(string Name, OptimizerOptions Options)> recipes)
    {
        using var data = new CaseData(path);
        string[] trainable = [.. data.Json("trainable", "[]").EnumerateArray().Select(e => e.GetString()!)];
        Dictionary<string, TensorData> batch =
            new[] { "input/", "target/" }.SelectMany(p => data.Names(p).Select(n => (Name: n, Tensor: data.Tensor(p + n))))
            .ToDictionary(t => t.Name, t => t.Tensor, StringComparer.Ordinal);
        foreach ((string name, OptimizerOptions options) in recipes)
        {
            TrainingPlan graphs = TrainingGraphBuilder.Build(data.ModelPath, new TrainingOptions
            {
                Loss = CaseLosses.Of(data),
                Optimizer = options,
                Parameters = new ParameterOptions { TrainOnly = ModelGradient.Exactly(trainable) },
                BatchNormalization = ModelGradient.Mode(data),
            });
            string target = Path.Combine(folder, $"{Path.GetFileNameWithoutExtension(path)}-{name}");
            GenuineArtifacts.Write(graphs, target);
            Record(graphs, batch, steps, Path.Combine(target, "trajectory.safetensors"));
            Console.WriteLine(target);
        }
    }

    // The same job on stock ONNX Runtime, and again from weights that differ in the last digit, in several ways. What Adam makes of that
    // where a gradient is rounding only, and an L1 bound of weights that change their sign, is what another build of the same kernels may
    // differ by; ten times that distance is allowed.
    private static void Record(TrainingPlan graphs, Dictionary<string, TensorData> batch, int steps, string path)
    {
        Trajectory run = Run(graphs, batch, steps, seed: 0);
        Trajectory[] others = [.. Enumerable.Range(1, 3).Select(seed => Run(graphs, batch, steps, seed))];
        List<SafetensorsEntry> entries = [.. batch.Select(t => Entry($"batch/{t.Key}", t.Value))];
        foreach ((string name, TensorData value) in run.Values)
        {
            entries.Add(Entry(name, value));
            double[] a = value.ToDoubles();
            if (name.StartsWith("state/", StringComparison.Ordinal))
            {
                entries.Add(Entry($"constraint/{name["state/".Length..]}",
                    TensorData.From<float>([(float)a[^StateTail], (float)a[^(StateTail - 1)]], 2)));
            }
            float[] drift = [.. others.Select(o => o.Values[name].ToDoubles())
                .Aggregate(new float[a.Length], (worst, b) => [.. worst.Select((w, i) => Math.Max(w, (float)Math.Abs(a[i] - b[i])))])];
            // A weight that is 0 but for rounding is sent to either side by an L1 bound.
            if (name.StartsWith("param/", StringComparison.Ordinal))
            {
                drift = [drift.DefaultIfEmpty(0).Max()
                    + (float)(2 * run.Thrown.GetValueOrDefault(name["param/".Length..name.LastIndexOf('/')]) / DriftFactor)];
            }
            // λ is a sum of differences R − κ of nearly equal numbers, one a step, and each of them is off by the rounding of R, in the
            // worst case always to the same side.
            if (name.StartsWith("state/", StringComparison.Ordinal))
            {
                drift[^StateTail] += (float)(LambdaRate(graphs, a.Length - StateTail) * a[^(StateTail - 1)] * steps / (1 << 24));
            }
            entries.Add(Entry($"drift/{name}", TensorData.From<float>(drift, drift.Length)));
        }
        SafetensorsFile.Write(path, entries,
            new Dictionary<string, string>
            {
                ["kind"] = "genuine-replay",
                ["parameters"] = JsonSerializer.Serialize(GenuineArtifacts.ParameterOrder(graphs))
            });
    }

    private static Trajectory Run(TrainingPlan graphs, Dictionary<string, TensorData> tensors, int steps, int seed)
    {
        using var driver = new TrainingDriver(graphs, new DriverOptions { Threads = 1 });
        using var batch = new Batch();
        foreach ((string name, TensorData tensor) in tensors) batch.Add(name, tensor);
        var random = new Random(seed);
        foreach (string name in seed > 0 ? graphs.InitialParameters.Keys : [])
        {
            driver.UpdateParameter(name,
                TensorData.From<float>([.. driver.GetParameter(name).ToArray<float>()
                .Select(v => v * (1 + (1e-7f * (random.Next(3) - 1))))], [.. graphs.InitialParameters[name].Dimensions]));
        }
        float[] losses = new float[steps], evaluations = new float[steps];
        var values = new Dictionary<string, TensorData>(StringComparer.Ordinal);
        var thrown = new Dictionary<string, double>(StringComparer.Ordinal);
        bool signs = graphs.Optimizer.Groups[0].Constraint is ConstrainNorm { Regularizer: Regularizer.L1 };
        for (int t = 0; t < steps; t++)
        {
            driver.LazyResetGrad();
            losses[t] = (float)driver.TrainStep(batch);
            driver.OptimizerStep();
            foreach (ConstraintInfo row in signs ? driver.Optimizer.GetConstraints() : [])
            {
                thrown[row.Name] = Math.Max(row.Lambda, thrown.GetValueOrDefault(row.Name));
            }
            using Evaluation evaluation = driver.EvalStep(batch);
            evaluations[t] = (float)evaluation.Loss;
            if (t != 0 && t != steps - 1) continue;
            foreach (string name in graphs.InitialParameters.Keys.Concat(graphs.InitialStatistics.Keys))
            {
                values[$"param/{name}/{(t == 0 ? "first" : "last")}"] = driver.GetParameter(name);
            }
        }
        foreach (string name in graphs.Constrained) values[$"state/{name}"] = State(driver, name);
        values["loss"] = TensorData.From<float>(losses, steps);
        values["eval_loss"] = TensorData.From<float>(evaluations, steps);
        return new Trajectory(values, thrown);
    }

    private static double LambdaRate(TrainingPlan graphs, int elements) =>
        graphs.Optimizer.Groups[0].Constraint is not ConstrainNorm c ? 0 : c.Regularizer == Regularizer.Std ? c.KappaUpdate
            : c.KappaUpdate / elements;

    // As the genuine artifacts hold it in momentum1: v, λ, κ (0 while unset), the row of the detector, and 1 for a constrained parameter.
    private static TensorData State(TrainingDriver driver, string name)
    {
        int row = driver.Plan.Constrained.ToList().IndexOf(name);
        float[] kappa = driver.Optimizer.Get("cpr.kappa").ToArray<float>();
        float[] state = [.. driver.Optimizer.Get($"{name}.exp_avg_sq").ToArray<float>(),
            driver.Optimizer.Get("cpr.lambda").ToArray<float>()[row], float.IsNaN(kappa[row]) ? 0 : kappa[row],
            .. driver.Optimizer.Get("cpr.detector").ToArray<float>().AsSpan(row * 4, 4), 1];
        return TensorData.From<float>(state, state.Length);
    }

    // Thrown: the largest step that an L1 bound has made a weight do, whatever its size.
    private sealed record Trajectory(Dictionary<string, TensorData> Values, IReadOnlyDictionary<string, double> Thrown);

    private static SafetensorsEntry Entry(string name, TensorData data) =>
        new(name, data.Type, data.Dimensions, stream => stream.Write(data.Bytes.Span));
}
