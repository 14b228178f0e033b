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
    internal static readonly Dictionary<string, Func<string?, Loss>> Losses = new(StringComparer.Ordinal)
    {
        ["cross_entropy"] = output => new CrossEntropyLoss { Output = output },
        ["mse"] = output => new MseLoss { Output = output },
        ["l1"] = output => new L1Loss { Output = output },
        ["huber"] = output => new HuberLoss { Output = output },
        ["bce_with_logits"] = output => new BceWithLogitsLoss { Output = output },
        ["output"] = output => new OutputLoss { Output = output },
    };

    private static readonly Dictionary<string, Func<TrainSettings, UpdateRule>> Optimizers = new(StringComparer.Ordinal)
    {
        ["adamcpr"] = s => UpdateRule.AdamCpr(s.LearningRate, s.Adam, s.Constraint),
        ["adamw"] = s => UpdateRule.AdamW(s.LearningRate, s.WeightDecay, s.Adam),
        ["adam"] = s => UpdateRule.Adam(s.LearningRate, s.Adam),
        ["sgd"] = s => UpdateRule.Sgd(s.LearningRate, new ScaleByMomentum(s.Momentum), s.WeightDecay),
        ["sgdcpr"] = s => UpdateRule.Sgd(s.LearningRate, new ScaleByMomentum(s.Momentum), s.WeightDecay, s.Constraint),
        ["adam_awd"] = s => UpdateRule.AdamAwd(s.LearningRate, s.WeightDecay, s.Adam),
        ["adam_adadecay"] = s => UpdateRule.AdamAdaDecay(s.LearningRate, s.WeightDecay, adam: s.Adam),
    };

    public static Command Create()
    {
        Argument<string> model = new("MODEL") { Description = "An ONNX file." };
        Option<string> data = new("--data") { Description = "A safetensors file with one tensor for each model input and label, examples along the first axis.", Required = true };
        Option<string> loss = new("--loss") { Description = $"One of {string.Join(", ", Losses.Keys)}.", DefaultValueFactory = _ => "cross_entropy" };
        Option<string?> output = new("--output") { Description = "The model output that the loss takes; needed where there are several." };
        Option<string> optimizer = new("--optimizer") { Description = $"One of {string.Join(", ", Optimizers.Keys)}.", DefaultValueFactory = _ => "adamcpr" };
        Option<double> rate = new("--lr") { Description = "Learning rate.", DefaultValueFactory = _ => 1e-3 };
        Option<double> decay = new("--weight-decay") { Description = "Weight decay of adamw and sgd, strength of adam_awd and adam_adadecay.", DefaultValueFactory = _ => 1e-2 };
        Option<double> momentum = new("--momentum") { Description = "Momentum of sgd.", DefaultValueFactory = _ => 0.9 };
        Option<KappaInitMethod> method = new("--kappa-init-method") { Description = "uniform, dependent, warm_start or inflection_point.", DefaultValueFactory = _ => KappaInitMethod.InflectionPoint, CustomParser = r => Parse<KappaInitMethod>(r.Tokens[0].Value, "--kappa-init-method") };
        Option<double?> parameter = new("--kappa-init-param") { Description = "The bound, its factor, or the step at which it is set." };
        Option<Regularizer> regularizer = new("--reg-function") { Description = "l2, l1, std or huber.", DefaultValueFactory = _ => Regularizer.L2, CustomParser = r => Parse<Regularizer>(r.Tokens[0].Value, "--reg-function") };
        Option<long> epochs = new("--epochs") { Description = "Times that the data are gone through.", DefaultValueFactory = _ => 1 };
        Option<int> size = new("--batch-size") { Description = "Examples a batch.", DefaultValueFactory = _ => 32 };
        Option<int> accumulation = new("--accumulation") { Description = "Batches a step.", DefaultValueFactory = _ => 1 };
        Option<double> clip = new("--max-grad-norm") { Description = "Clips the gradients' global norm; 0 for no clipping." };
        Option<bool> cosine = new("--cosine") { Description = "Lets the learning rate fall along a cosine." };
        Option<string[]> freeze = new("--freeze") { Description = "Names of parameters that are not trained; * and ? and regex: are understood." };
        Option<bool> tie = new("--tie") { Description = "Trains initializers with equal or transposed numbers as one parameter." };
        Option<int> seed = new("--seed") { Description = "Seed of the shuffles, and of weights that the file only describes." };
        Option<int> threads = new("--threads") { Description = "Threads; 0 for one a physical core." };
        Option<string> device = new("--device") { Description = "cpu, cuda, cuda:N or webgpu:PATH.", DefaultValueFactory = _ => "cpu" };
        Option<string> target = new("--out") { Description = "Folder for the job; the trained model is model.onnx in it.", DefaultValueFactory = _ => "trained" };
        Command command = new("train", "Trains an exported model on the tensors of a safetensors file.")
        { model, data, loss, output, optimizer, rate, decay, momentum, method, parameter, regularizer, epochs, size, accumulation, clip, cosine, freeze, tie, seed, threads, device, target };
        command.SetAction((r, cancellation) => Task.FromResult(Run(new TrainSettings
        {
            Model = r.GetValue(model)!,
            Data = r.GetValue(data)!,
            Loss = Choose(Losses, r.GetValue(loss)!, "--loss")(r.GetValue(output)),
            Rule = Choose(Optimizers, r.GetValue(optimizer)!, "--optimizer"),
            LearningRate = r.GetValue(rate),
            WeightDecay = r.GetValue(decay),
            Momentum = r.GetValue(momentum),
            Constraint = new ConstrainNorm { KappaInitMethod = r.GetValue(method), KappaInitParam = r.GetValue(parameter), Regularizer = r.GetValue(regularizer) },
            Epochs = r.GetValue(epochs),
            BatchSize = r.GetValue(size),
            Accumulation = r.GetValue(accumulation),
            MaxGradientNorm = r.GetValue(clip),
            Cosine = r.GetValue(cosine),
            Freeze = r.GetValue(freeze) ?? [],
            Tie = r.GetValue(tie),
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
            Parameters = new ParameterOptions { Freeze = [.. s.Freeze.Select(NamePattern.FromString)], TieEqual = s.Tie },
            Optimizer = new OptimizerOptions { Groups = [s.Rule(s)], MaxGradientNorm = s.MaxGradientNorm, TotalSteps = steps },
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

    internal static T Choose<T>(Dictionary<string, T> table, string name, string option) =>
        table.TryGetValue(name.Replace('-', '_').ToLowerInvariant(), out T? found) ? found : throw new ToolException($"{option} '{name}' is not known; expected one of {string.Join(", ", table.Keys)}.");

    private static T Parse<T>(string text, string option) where T : struct, Enum =>
        Enum.TryParse(text.Replace("_", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal), ignoreCase: true, out T value) && Enum.IsDefined(value) ? value
        : throw new ToolException($"{option} '{text}' is not known; expected one of {string.Join(", ", Enum.GetNames<T>())}.");

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

    public required Func<TrainSettings, UpdateRule> Rule { get; init; }

    public required double LearningRate { get; init; }

    public required double WeightDecay { get; init; }

    public required double Momentum { get; init; }

    public required ConstrainNorm Constraint { get; init; }

    public required long Epochs { get; init; }

    public required int BatchSize { get; init; }

    public required int Accumulation { get; init; }

    public required double MaxGradientNorm { get; init; }

    public required bool Cosine { get; init; }

    public required string[] Freeze { get; init; }

    public required bool Tie { get; init; }

    public required int Seed { get; init; }

    public required DriverOptions Driver { get; init; }

    public required string Out { get; init; }

    public ScaleByAdam Adam { get; } = new();
}
