using System.CommandLine;
using System.Runtime.InteropServices;
using System.Text.Json;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.OrtTraining;
using OrtCpr.Tool.Train;

namespace OrtCpr.Tool.Artifacts;

// `ortcpr artifacts fixture MODEL --data FILE --out DIR`: artifacts for the genuine runtime with a trajectory of ours beside them, for replaying them there.
internal static class FixturesCommand
{
    public static Command Create()
    {
        Argument<string> model = new("MODEL") { Description = "An ONNX file." };
        Option<string> data = new("--data") { Description = "A safetensors file with one tensor for each model input and label, batches along the first axis: [steps, batch, …].", Required = true };
        Option<string> folder = new("--out") { Description = "Folder for the files.", Required = true };
        var job = new JobOptions();
        Command command = new("fixture", "Writes artifacts for the genuine runtime together with batches and our own losses and parameters.") { model, data, folder };
        job.AddTo(command);
        command.SetAction(r =>
        {
            using SafetensorsFile batches = SafetensorsFile.Read(r.GetValue(data)!);
            TrainingGraphs graphs = TrainingGraphBuilder.Build(r.GetValue(model)!, job.Read(r, steps: null));
            GenuineArtifacts.Write(graphs, r.GetValue(folder)!);
            Record(graphs, batches, Path.Combine(r.GetValue(folder)!, "trajectory.safetensors"));
            return 0;
        });
        return command;
    }

    // The same job on stock ONNX Runtime. The genuine runtime's learning rate is 0.001 until a program sets another.
    internal static void Record(TrainingGraphs graphs, SafetensorsFile batches, string path)
    {
        using var driver = new TrainingDriver(graphs, new DriverOptions { Threads = 1 });
        int steps = (int)batches.Tensors.Values.First().Dimensions[0];
        var losses = new List<float>();
        var evaluations = new List<float>();
        var entries = new List<SafetensorsEntry>();
        foreach ((string name, TensorData tensor) in batches.Tensors) entries.Add(Entry($"batch/{name}", tensor));
        for (int t = 0; t < steps; t++)
        {
            using var batch = new Batch();
            foreach ((string name, TensorData tensor) in batches.Tensors) batch.Add(name, Part(tensor, t));
            driver.LazyResetGrad();
            losses.Add((float)driver.TrainStep(batch));
            driver.OptimizerStep();
            using Evaluation evaluation = driver.EvalStep(batch);
            evaluations.Add((float)evaluation.Loss);
            if (t == 0 || t == steps - 1) AddState(driver, $"step{t + 1}", entries);
        }
        entries.Add(Entry("loss", TensorData.From<float>(CollectionsMarshal.AsSpan(losses), steps)));
        entries.Add(Entry("eval_loss", TensorData.From<float>(CollectionsMarshal.AsSpan(evaluations), steps)));
        foreach (ConstraintInfo row in driver.Optimizer.GetConstraints())
            entries.Add(Entry($"constraint/{row.Name}", TensorData.From<float>([(float)row.Lambda, row.IsSet ? (float)row.Kappa : 0], 2)));
        string config = JsonSerializer.Serialize(new { lr = driver.Optimizer.GetLearningRate(), accumulation = 1, parameters = graphs.Parameters.All.Select(p => p.Name) });
        SafetensorsFile.Write(path, entries, new Dictionary<string, string> { ["kind"] = "genuine-replay", ["config"] = config });
    }

    private static void AddState(TrainingDriver driver, string tag, List<SafetensorsEntry> entries)
    {
        foreach (string name in driver.Graphs.InitialParameters.Keys.Concat(driver.Graphs.InitialStatistics.Keys)) entries.Add(Entry($"param/{name}/{tag}", driver.GetParameter(name)));
    }

    private static SafetensorsEntry Entry(string name, TensorData data) => new(name, data.Type, data.Dimensions, stream => stream.Write(data.Bytes.Span));

    private static TensorData Part(TensorData data, int index)
    {
        int size = (int)(data.Bytes.Length / data.Dimensions[0]);
        return TensorData.Create(data.Type, [.. data.Dimensions.Skip(1)], data.Bytes.Slice(index * size, size).ToArray());
    }
}
