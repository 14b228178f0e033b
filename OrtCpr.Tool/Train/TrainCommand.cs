using System.CommandLine;
using System.Globalization;
using OrtCpr.Graph;
using OrtCpr.Schedules;

namespace OrtCpr.Tool.Train;

// `ortcpr train MODEL --data FILE`: trains an exported model on tensors of a safetensors file and writes the trained model and the job.
internal static class TrainCommand
{
    public static Command Create()
    {
        Argument<string> model = new("MODEL") { Description = "An ONNX file." };
        Option<string> data = new("--data") { Description = "A safetensors file with one tensor for each model input and label, examples along the first axis.", Required = true };
        Option<long> epochs = new("--epochs") { Description = "Times that the data are gone through.", DefaultValueFactory = _ => 1 };
        Option<int> size = new("--batch-size") { Description = "Examples a batch.", DefaultValueFactory = _ => 32 };
        Option<int> accumulation = new("--accumulation") { Description = "Batches a step.", DefaultValueFactory = _ => 1 };
        Option<bool> cosine = new("--cosine") { Description = "Lets the learning rate fall along a cosine." };
        Option<int> threads = new("--threads") { Description = "Threads; 0 for one a physical core." };
        Option<string> device = new("--device") { Description = "cpu, cuda, cuda:N or webgpu:PATH.", DefaultValueFactory = _ => "cpu" };
        Option<string> target = new("--out") { Description = "Folder for the job; the trained model is model.onnx in it.", DefaultValueFactory = _ => "trained" };
        var job = new JobOptions();
        Command command = new("train", "Trains an exported model on the tensors of a safetensors file.") { model, data, epochs, size, accumulation, cosine, threads, device, target };
        job.AddTo(command);
        command.SetAction((r, cancellation) =>
        {
            using TensorBatches batches = TensorBatches.Open(r.GetValue(data)!, r.GetValue(size), job.Seed(r));
            var fit = new FitOptions { Epochs = r.GetValue(epochs), GradientAccumulation = r.GetValue(accumulation), Callbacks = [new Printer()] };
            fit.Validate();
            long steps = fit.Epochs * ((batches.BatchCount + fit.GradientAccumulation - 1) / fit.GradientAccumulation);
            TrainingGraphs graphs = TrainingGraphBuilder.Build(r.GetValue(model)!, job.Read(r, steps));
            batches.Check(graphs.BatchInputs);
            using var driver = new TrainingDriver(graphs, new DriverOptions { Threads = r.GetValue(threads), Device = r.GetValue(device)! });
            if (r.GetValue(cosine)) driver.SetSchedule(new CosineSchedule(steps));
            return Task.FromResult(Run(driver, batches, fit, r.GetValue(target)!, cancellation));
        });
        return command;
    }

    private static int Run(TrainingDriver driver, TensorBatches batches, FitOptions fit, string folder, CancellationToken cancellation)
    {
        foreach (string warning in driver.Graphs.Warnings) Console.Error.WriteLine($"warning: {warning}");
        FitResult result;
        try
        {
            result = new Trainer(driver).Fit(batches.Epoch, fit, cancellation);
        }
        catch (OperationCanceledException)
        {
            ArtifactsFolder.Save(driver, folder);
            Console.Error.WriteLine($"stopped after {driver.Optimizer.Steps} steps; the job is in '{folder}'");
            return 130;
        }
        ArtifactsFolder.Save(driver, folder);
        if (result.SkippedSteps > 0) Console.Error.WriteLine($"warning: {result.SkippedSteps} steps were skipped since a gradient was not finite");
        if (driver.Graphs.Optimizer.Constrained.Count > 0) Console.WriteLine(result.ConstraintSummary);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{result.Steps} steps in {result.Elapsed.TotalSeconds:F1} s, last epoch's loss {result.Epochs[^1].Loss:G6}; trained model: {Path.Combine(folder, "model.onnx")}"));
        return 0;
    }

    private sealed class Printer : TrainerCallback
    {
        public override void OnEpochEnd(Trainer trainer, EpochReport report, FitControl control) =>
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"epoch {report.Epoch + 1}  step {report.Step}  loss {report.Loss:G6}  {report.Step / Math.Max(1e-9, report.Elapsed.TotalSeconds):F0} steps/s"));
    }
}
