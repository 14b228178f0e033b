using System.CommandLine;
using System.Globalization;
using OrtCpr.Graph;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;
using OrtCpr.Schedules;

namespace OrtCpr.Tool.Train;

// `ortcpr train MODEL --data FILE`: trains an exported model on tensors of a safetensors file and writes the trained model and the job.
internal static class TrainCommand
{
    private static readonly Dictionary<string, Func<string?, Loss>> Losses = new(StringComparer.Ordinal)
    {
        ["cross_entropy"] = output => new CrossEntropyLoss { Output = output },
        ["mse"] = output => new MseLoss { Output = output },
        ["l1"] = output => new L1Loss { Output = output },
        ["huber"] = output => new HuberLoss { Output = output },
        ["bce_with_logits"] = output => new BceWithLogitsLoss { Output = output },
        ["output"] = output => new OutputLoss { Output = output },
    };

    public static Command Create()
    {
        Argument<string> model = new("MODEL") { Description = "An ONNX file." };
        Option<string> data = new("--data") { Description = "A safetensors file with one tensor for each model input and label, examples along the first axis.", Required = true };
        Option<string> loss = new("--loss") { Description = $"One of {string.Join(", ", Losses.Keys)}.", DefaultValueFactory = _ => "cross_entropy" };
        Option<string?> output = new("--output") { Description = "The model output that the loss takes; needed where there are several." };
        var rule = new RuleOptions("adamcpr");
        Option<long> epochs = new("--epochs") { Description = "Times that the data are gone through.", DefaultValueFactory = _ => 1 };
        Option<int> size = new("--batch-size") { Description = "Examples a batch.", DefaultValueFactory = _ => 32 };
        Option<int> accumulation = new("--accumulation") { Description = "Batches a step.", DefaultValueFactory = _ => 1 };
        Option<double> clip = new("--max-grad-norm") { Description = "Clips the gradients' global norm; 0 for no clipping." };
        Option<bool> cosine = new("--cosine") { Description = "Lets the learning rate fall along a cosine." };
        Option<string[]> freeze = new("--freeze") { Description = "Names of parameters that are not trained; * and ? and regex: are understood." };
        Option<int> seed = new("--seed") { Description = "Seed of the shuffles, and of weights that the file only describes." };
        Option<int> threads = new("--threads") { Description = "Threads; 0 for one a physical core." };
        Option<string> device = new("--device") { Description = "cpu, cuda, cuda:N or webgpu:PATH.", DefaultValueFactory = _ => "cpu" };
        Option<string> target = new("--out") { Description = "Folder for the job; the trained model is model.onnx in it.", DefaultValueFactory = _ => "trained" };
        Command command = new("train", "Trains an exported model on the tensors of a safetensors file.")
        { model, data, loss, output, epochs, size, accumulation, clip, cosine, freeze, seed, threads, device, target };
        rule.AddTo(command);
        command.SetAction((r, cancellation) => Task.FromResult(Run(new TrainSettings
        {
            Model = r.GetValue(model)!,
            Data = r.GetValue(data)!,
            Loss = RuleOptions.Choose(Losses, r.GetValue(loss)!, "--loss")(r.GetValue(output)),
            Rule = rule.Read(r, new ScaleByAdam()),
            Epochs = r.GetValue(epochs),
            BatchSize = r.GetValue(size),
            Accumulation = r.GetValue(accumulation),
            MaxGradientNorm = r.GetValue(clip),
            Cosine = r.GetValue(cosine),
            Freeze = r.GetValue(freeze) ?? [],
            Seed = r.GetValue(seed),
            Driver = new DriverOptions { Threads = r.GetValue(threads), Device = r.GetValue(device)! },
            Out = r.GetValue(target)!,
        }, cancellation)));
        return command;
    }

    private static int Run(TrainSettings s, CancellationToken cancellation)
    {
        using TensorBatches data = TensorBatches.Open(s.Data, s.BatchSize, s.Seed);
        long steps = s.Epochs * ((data.BatchCount + s.Accumulation - 1) / s.Accumulation);
        TrainingGraphs graphs = TrainingGraphBuilder.Build(s.Model, new TrainingOptions
        {
            Loss = s.Loss,
            Seed = s.Seed,
            Parameters = new ParameterOptions { Freeze = [.. s.Freeze.Select(NamePattern.FromString)] },
            Optimizer = new OptimizerOptions { Groups = [s.Rule], MaxGradientNorm = s.MaxGradientNorm, TotalSteps = steps },
        });
        data.Check(graphs.BatchInputs);
        foreach (string warning in graphs.Warnings) Console.Error.WriteLine($"warning: {warning}");
        using var driver = new TrainingDriver(graphs, s.Driver);
        if (s.Cosine) driver.SetSchedule(new CosineSchedule(steps));
        var trainer = new Trainer(driver);
        FitResult result;
        try
        {
            result = trainer.Fit(data.Epoch, new FitOptions { Epochs = s.Epochs, GradientAccumulation = s.Accumulation, Callbacks = [new Printer()] }, cancellation);
        }
        catch (OperationCanceledException)
        {
            ArtifactsFolder.Save(driver, s.Out);
            Console.Error.WriteLine($"stopped after {driver.Optimizer.Steps} steps; the job is in '{s.Out}'");
            return 130;
        }
        ArtifactsFolder.Save(driver, s.Out);
        if (result.SkippedSteps > 0) Console.Error.WriteLine($"warning: {result.SkippedSteps} steps were skipped since a gradient was not finite");
        if (graphs.Optimizer.Constrained.Count > 0) Console.WriteLine(result.ConstraintSummary);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{result.Steps} steps in {result.Elapsed.TotalSeconds:F1} s, last epoch's loss {result.Epochs[^1].Loss:G6}; trained model: {Path.Combine(s.Out, "model.onnx")}"));
        return 0;
    }

    private sealed class Printer : TrainerCallback
    {
        public override void OnEpochEnd(Trainer trainer, EpochReport report, FitControl control) =>
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"epoch {report.Epoch + 1}  step {report.Step}  loss {report.Loss:G6}  {report.Step / Math.Max(1e-9, report.Elapsed.TotalSeconds):F0} steps/s"));
    }
}

// What `ortcpr train` was asked for.
internal sealed record TrainSettings
{
    public required string Model { get; init; }

    public required string Data { get; init; }

    public required Loss Loss { get; init; }

    public required UpdateRule Rule { get; init; }

    public required long Epochs { get; init; }

    public required int BatchSize { get; init; }

    public required int Accumulation { get; init; }

    public required double MaxGradientNorm { get; init; }

    public required bool Cosine { get; init; }

    public required string[] Freeze { get; init; }

    public required int Seed { get; init; }

    public required DriverOptions Driver { get; init; }

    public required string Out { get; init; }
}
