using System.Text.Json;
using OrtCpr.Graph;
using OrtCpr.Graph.OrtTraining;
using OrtCpr.OrtTraining;

namespace OrtCpr.Tool.Verify;

// Kind ort-artifacts: a folder that ONNX Runtime training wrote; its recorded run is done again on stock ONNX Runtime.
internal static class OrtArtifacts
{
    private const int ResumeSteps = 5;

    public static void Run(CaseData data, TensorCheck check, DriverOptions options)
    {
        JsonElement config = data.Json("config", "{}");
        string folder = Path.GetDirectoryName(data.Path)!;
        int steps = config.GetProperty("steps").GetInt32(), accumulation = config.GetProperty("accumulation").GetInt32();
        using var state = CheckpointState.LoadCheckpoint(Path.Combine(folder, "checkpoint"));
        using TrainingSession session = Open(state, folder, options);
        bool scheduled = SetRate(session, config);
        var known = new ZeroGradients(data);
        List<double> losses = [], evaluations = [], rates = [];
        for (int i = 0; i < steps; i++)
        {
            using Batch batch = BatchOf(data, i);
            losses.Add(session.Driver.TrainStep(batch));
            if (i == 0) CompareGradients(check, data, session);
            if ((i + 1) % accumulation == 0)
            {
                rates.Add(session.GetLearningRate());
                session.OptimizerStep();
                if (scheduled) session.SchedulerStep();
                session.LazyResetGrad();
                if (rates.Count == 1) Compare(check, data, known, "param/", "/step1", session.Driver.GetParameter, first: true);
            }
            evaluations.Add(session.Driver.EvalStep(batch).Loss);
        }
        Series(check, data, "loss", losses, 1e-5);
        Series(check, data, "eval_loss", evaluations, 1e-5);
        if (data.Has("learning_rate")) Series(check, data, "learning_rate", rates, 1e-6);
        Compare(check, data, known, "param/", "/step20", session.Driver.GetParameter);
        foreach (string kind in new[] { "momentum0", "momentum1" })
        {
            if (data.Names($"{kind}/").Count > 0)
            {
                Compare(check, data, known, $"{kind}/", "", name => session.Driver.Optimizer.Get($"{name}.{kind}"));
            }
        }
        CompareInference(check, data, session);
        data.Ignore("param/");
        if (data.Has("resume/loss")) Resume(data, check, config, folder, options, known);
    }

    // Without a recorded run: the graphs must load, and the losses that the description may hold, of batches that lie beside it, must come
    // out.
    public static void Load(string folder, TensorCheck check, DriverOptions options)
    {
        using var state = CheckpointState.LoadCheckpoint(Path.Combine(folder, "checkpoint"));
        using TrainingSession session = Open(state, folder, options);
        int trained = OrtCheckpoint.Load(Path.Combine(folder, "checkpoint")).Trainable.Count;
        check.Near("parameters", [session.Driver.Plan.Parameters.Trained.Count], [trained], _ => 0, 0);
        using JsonDocument description = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "case.json")));
        string batches = Path.Combine(Path.GetDirectoryName(folder)!, "mlp_ce_adamw", "trajectory.safetensors");
        if (!description.RootElement.TryGetProperty("loss", out JsonElement losses) || !File.Exists(batches)) return;
        using var data = new CaseData(batches);
        double[] expected = [.. losses.EnumerateArray().Select(l => l.GetDouble())], found = new double[expected.Length];
        for (int i = 0; i < expected.Length; i++)
        {
            using Batch batch = BatchOf(data, i);
            found[i] = session.Driver.TrainStep(batch);
            session.OptimizerStep();
            session.LazyResetGrad();
        }
        check.Near("loss", found, expected, _ => 0, 1e-5);
    }

    private static TrainingSession Open(CheckpointState state, string folder, DriverOptions options) => new(options, state,
        Path.Combine(folder, "training_model.onnx"), Path.Combine(folder, "eval_model.onnx"), Path.Combine(folder, "optimizer_model.onnx"));

    // True when a scheduler sets it.
    private static bool SetRate(TrainingSession session, JsonElement config)
    {
        if (config.TryGetProperty("scheduler", out JsonElement scheduler) && scheduler.ValueKind == JsonValueKind.Object)
        {
            session.RegisterLinearLRScheduler(scheduler.GetProperty("warmup").GetInt64(), scheduler.GetProperty("total").GetInt64(),
                scheduler.GetProperty("initial_lr").GetSingle());
            return true;
        }
        if (config.TryGetProperty("lr_set_explicitly", out JsonElement set) && set.GetBoolean())
        {
            session.SetLearningRate(config.GetProperty("lr").GetSingle());
        }
        return false;
    }

    private static Batch BatchOf(CaseData data, int step)
    {
        var batch = new Batch();
        foreach (string input in data.Names("batch/")) batch.Add(input, CaseData.Slice(data.Tensor($"batch/{input}"), step));
        return batch;
    }

    // Loaded afresh from what the runtime saved after the last step.
    private static void Resume(CaseData data, TensorCheck check, JsonElement config, string folder, DriverOptions options,
        ZeroGradients known)
    {
        using var state = CheckpointState.LoadCheckpoint(Path.Combine(folder, "checkpoint.step20"));
        using TrainingSession session = Open(state, folder, options);
        bool scheduled = SetRate(session, config);
        List<double> losses = [], rates = [];
        for (int i = 0; i < ResumeSteps; i++)
        {
            using Batch batch = BatchOf(data, i);
            losses.Add(session.Driver.TrainStep(batch));
            rates.Add(session.GetLearningRate());
            session.OptimizerStep();
            if (scheduled) session.SchedulerStep();
            session.LazyResetGrad();
        }
        Series(check, data, "resume/loss", losses, 1e-5);
        if (data.Has("resume/learning_rate")) Series(check, data, "resume/learning_rate", rates, 1e-6);
        Compare(check, data, known, "resume/param/", "", session.Driver.GetParameter);
    }

    private static void Series(TensorCheck check, CaseData data, string name, List<double> actual, double rtol) =>
        check.Near(name, actual.ToArray(), data.Tensor(name).ToDoubles(), _ => 0, rtol);

    // Relative to the largest gradient of the tensor.
    private static void CompareGradients(TensorCheck check, CaseData data, TrainingSession session)
    {
        foreach (string name in data.Names("grad/"))
        {
            double[] expected = data.Tensor($"grad/{name}").ToDoubles();
            double atol = Math.Max(1e-4 * expected.Select(Math.Abs).DefaultIfEmpty(0).Max(), 1e-6);
            check.Near($"grad/{name}", session.Driver.GetGradient(name).ToDoubles(), expected, _ => atol, 0);
        }
    }

    private static void Compare(TensorCheck check, CaseData data, ZeroGradients known, string prefix, string suffix,
        Func<string, TensorData> actual, bool first = false)
    {
        foreach (string stored in data.Names(prefix).Where(n => n.EndsWith(suffix, StringComparison.Ordinal)))
        {
            string name = stored[..^suffix.Length];
            TensorData found = actual(name), tensor = data.Tensor(prefix + stored);
            double[] expected = tensor.ToDoubles();
            double largest = expected.Select(Math.Abs).DefaultIfEmpty(0).Max();
            double atol = first ? 2e-6 * Math.Max(1, largest) : 1e-3 * largest;
            double still = prefix.StartsWith("momentum", StringComparison.Ordinal) ? 1e-6 * known.Largest(prefix) : first ? 1e-5 : 1e-3;
            check.Near(prefix + stored, found.ToDoubles(), expected, i => known.Has(name, i) ? Math.Max(still, atol) : atol, 0);
        }
    }

    // The exported model as a session of its own.
    private static void CompareInference(TensorCheck check, CaseData data, TrainingSession session)
    {
        IReadOnlyList<string> outputs = data.Names("inference_output/");
        if (outputs.Count == 0) return;
        string path = Path.GetTempFileName();
        try
        {
            session.ExportModelForInferencing(path, [.. outputs]);
            using var inference = new Microsoft.ML.OnnxRuntime.InferenceSession(path);
            using var batch = new Batch();
            foreach (string input in data.Names("inference_input/")) batch.Add(input, data.Tensor($"inference_input/{input}"));
            using var run = new Microsoft.ML.OnnxRuntime.RunOptions();
            using Microsoft.ML.OnnxRuntime.IDisposableReadOnlyCollection<Microsoft.ML.OnnxRuntime.OrtValue> results =
                inference.Run(run, batch.Tensors, [.. outputs]);
            for (int i = 0; i < outputs.Count; i++)
            {
                double[] expected = data.Tensor($"inference_output/{outputs[i]}").ToDoubles();
                double atol = 1e-4 * Math.Max(1, expected.Select(Math.Abs).DefaultIfEmpty(0).Max());
                check.Near($"inference_output/{outputs[i]}", [.. results[i].GetTensorDataAsSpan<float>().ToArray().Select(v => (double)v)],
                    expected, _ => atol, 0);
            }
        }
        finally
        {
            File.Delete(path);
        }
    }

    // Elements whose gradient is mathematically zero follow no reproducible path under AdamW: rounding noise, normalised.
    private sealed class ZeroGradients
    {
        private readonly CaseData _data;
        private readonly Dictionary<string, bool[]> _zero = new(StringComparer.Ordinal);

        public ZeroGradients(CaseData data)
        {
            _data = data;
            var gradients = data.Names("grad/").ToDictionary(n => n, n => data.Tensor($"grad/{n}").ToDoubles(), StringComparer.Ordinal);
            double largest = gradients.Values.SelectMany(v => v).Select(Math.Abs).DefaultIfEmpty(0).Max();
            foreach ((string name, double[] values) in gradients) _zero[name] = [.. values.Select(v => Math.Abs(v) < 1e-6 * largest)];
        }

        public bool Has(string parameter, int element) => _zero.TryGetValue(parameter, out bool[]? zero) && zero[element];

        public double Largest(string prefix) =>
            _data.Names(prefix).SelectMany(n => _data.Tensor(prefix + n).ToDoubles()).Select(Math.Abs).DefaultIfEmpty(0).Max();
    }
}
