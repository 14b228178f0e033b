using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Graph.Adapters;
using OrtCpr.Graph.Heads;
using OrtCpr.Graph.Parameters;
using OrtCpr.Graph.Passes;
using OrtCpr.Tool.Figures;
using OrtCpr.Tool.Heads;
using OrtCpr.Tool.Report;

namespace OrtCpr.Tool.Train;

// `ortcpr train MODEL --data PATH`: trains an exported model and writes the job: logs, checkpoints, the trained model, a picture.
internal sealed class TrainCommand
{
    private const string Examples = """
        Trains an exported model.

        Examples:
          ortcpr train mlp.onnx --data table.csv --label species --metric accuracy --validation-split 0.2
          ortcpr train resnet18.onnx --data cifar-100-binary --epochs 20 --augment --schedule cosine --lr 0.001 --metric top5
          ortcpr train mobilenet.onnx --data flowers --head classes=5 --augment --validation-split 0.2 --metric accuracy --epochs 10
          ortcpr train gpt.onnx --data train.bin --validation val.bin --sequence-length 128 --steps 5000 --metric perplexity
          ortcpr train resnet18.onnx --data cifar-100-binary --head classes=100,dropout=0.1 --freeze-body
          ortcpr train minilm.onnx --data texts.csv --text title --label topic --tokenizer vocab.txt --head classes=4 --freeze-body
          ortcpr train sounds.onnx --data recordings --sample-rate 16000 --augment --metric accuracy
          ortcpr train mlp.onnx --data table.csv --label species --compare adamw,adamcpr --seeds 3
          ortcpr train --config trained/run.json --resume
        """;

    private readonly Argument<string> _model = new("MODEL") { Description = "An ONNX file." };
    private readonly Option<int> _threads = new("--threads") { Description = "Threads; 0 for one a physical core." };
    private readonly Option<string> _device =
        new("--device") { Description = "cpu, cuda, cuda:N or webgpu:PATH.", DefaultValueFactory = _ => "cpu" };
    private readonly Option<string> _target = new("--out")
    {
        Description = "Folder for the job: run.json, metrics.csv, constraints.csv, "
            + "checkpoints, model.onnx, plot.png.",
        DefaultValueFactory = _ => "trained"
    };
    private readonly Option<bool> _resume = new("--resume") { Description = "Goes on from the checkpoint in the folder, bit for bit." };
    private readonly Option<string?> _compare =
        new("--compare") { Description = "Optimizers with commas between: trains each, side by side, and draws them in one picture." };
    private readonly Option<int> _seeds =
        new("--seeds") { Description = "With --compare: seeds of each optimizer, counted from --seed.", DefaultValueFactory = _ => 1 };
    private readonly Option<string?> _lora =
        new("--lora")
        {
            Description = "Trains low-rank adapters alone, as r=8 or r=8,alpha=16,targets=layers.*;head.*; writes merged.onnx "
                + "too where no weight with an adapter is quantised."
        };
    private readonly Option<string?> _head =
        new("--head")
        {
            Description = "Replaces the model's last linear layer before training, as classes=5 or classes=5,pool=cls,dropout=0.1,"
                + "at=NAME,keep; see ortcpr head."
        };
    private readonly Option<bool> _freezeBody =
        new("--freeze-body")
        {
            Description = "Trains the parameters of the new head alone, of --head or of a model that ortcpr head wrote; batch "
                + "normalisation keeps its stored statistics."
        };
    private readonly Option<bool> _findRate =
        new("--find-lr") { Description = "Tries learning rates from 1e-7 to 1 instead of training, and draws the losses." };
    private readonly Option<bool> _report =
        new("--report") { Description = "Writes report.html too, with confusion matrix and worst examples of the validation data." };
    private readonly DataOptions _data = new();
    private readonly JobOptions _job = new();
    private readonly FitSettings _fit = new();

    public static Command Create()
    {
        var train = new TrainCommand();
        Command command = new("train", Examples) { train._model };
        train._data.AddTo(command, training: true);
        train._fit.AddTo(command);
        train._job.AddTo(command);
        foreach (Option option in new Option[] { train._threads, train._device, train._target,
            train._findRate, train._report, train._head, train._freezeBody, train._lora,
            train._resume, train._compare, train._seeds })
        {
            command.Add(option);
        }
        command.SetAction((r, cancellation) => Task.FromResult(train.Run(r, cancellation)));
        return command;
    }

    private int Run(ParseResult r, CancellationToken cancellation)
    {
        _fit.Check(r);
        string folder = r.GetValue(_target)!;
        string text = RunConfig.Text(r);
        MakeFolder(folder, text);
        // A new head has classes of its own.
        DenseHead? head = r.GetValue(_head) is string words ? HeadText.Parse(words, "--head").Head : null;
        using OpenedData data = _data.Open(r, _job.Seed(r), () =>
        {
            PictureModel model = PictureModel.Of(r.GetValue(_model)!);
            return head is null ? model : model with { ClassNames = head.ClassNames };
        });
        ClassFile.Write(folder, _data.Classes);
        return r.GetValue(_compare) is string names
            ? Compare(r, names.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries), folder, data,
                cancellation)
            : Single(r, null, _job.Seed(r), folder, data, cancellation) is null ? 130 : 0;
    }

    private static void MakeFolder(string folder, string? config = null)
    {
        try
        {
            Directory.CreateDirectory(folder);
            if (config is not null) File.WriteAllText(Path.Combine(folder, "run.json"), config + "\n");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new ToolException($"--out '{folder}' can't be written: {error.Message} Check the folder, its permissions and the free "
                + "space.");
        }
    }

    // Null when it was cancelled.
    private FitResult? Single(ParseResult r, string? optimizer, int seed, string folder, OpenedData data, CancellationToken cancellation)
    {
        (DataSource training, DataSource? validation) = (data.Training, data.Validation);
        // Batches are known only when the graphs are, and the graphs want to know how long the run is.
        long batches = _data.BatchCount(r, training.Count), steps = _fit.Steps(r, batches);
        TrainingOptions options = _job.Read(r, steps, optimizer, seed, training);
        (string model, options) = Rewritten(r, options, seed, folder);
        TrainingPlan graphs = TrainingGraphBuilder.Build(model, options);
        ClassCheck.Run(graphs, training);
        DataLoader loader = _data.Load(r, training, data.Pictures, graphs.BatchInputs, seed, training: true);
        DataLoader? held = validation is null ? null : _data.Load(r, validation, data.Pictures, graphs.BatchInputs, seed,
            training: false);
        Announce(r, graphs, training.Count, validation?.Count, steps, folder, optimizer, _job.LossOf(r));
        if (data.Pictures is not null) PictureOptions.Announce(data.Pictures);
        foreach (string warning in graphs.Warnings) Console.Error.WriteLine($"warning: {warning}");
        using var driver = new TrainingDriver(graphs, new DriverOptions { Threads = r.GetValue(_threads), Device = r.GetValue(_device)! });
        if (r.GetValue(_findRate))
        {
            RateSearch.Run(driver, loader, steps, folder, cancellation);
            return new FitResult { Epochs = [], Steps = 0, SkippedSteps = 0, ConstraintSummary = "", Elapsed = TimeSpan.Zero };
        }
        driver.SetSchedule(_fit.ScheduleOf(r, steps));
        bool resume = r.GetValue(_resume);
        // The graphs first: with them and any checkpoint the folder is a whole job.
        resume &= File.Exists(Path.Combine(folder, "training.json"));
        if (!resume) ArtifactsFolder.Save(driver, folder);
        FitResult result;
        try
        {
            result = new Trainer(driver).Fit(loader, _fit.Read(r, folder, held, resume), cancellation);
        }
        catch (OperationCanceledException)
        {
            Console.Error.WriteLine($"stopped after {driver.Optimizer.Steps} steps; go on with: ortcpr train --config "
                + $"{Path.Combine(folder, "run.json")} --resume");
            return null;
        }
        driver.ExportModel(Path.Combine(folder, "model.onnx"));
        ClassCheck.NameClasses(Path.Combine(folder, "model.onnx"), graphs, training);
        if (r.GetValue(_lora) is not null) Merge(folder);
        RunFigure.Save([RunLog.Read(folder)], Path.Combine(folder, "plot.png"), new StepAxis());
        if (r.GetValue(_report))
        {
            ImmutableArray<string> names = training.Columns.FirstOrDefault(c => c.IsLabel)?.ClassNames ?? [];
            if (held is not null) ValidationDetails.Collect(driver, held, names, cancellation)?.Save(folder);
            ReportCommand.Write(folder, Path.Combine(folder, ReportCommand.FileName));
        }
        Report(driver, result, folder);
        return result;
    }

    // The model with a head and adapters of its own, in the folder of the run, and what of it is trained.
    private (string Model, TrainingOptions Options) Rewritten(ParseResult r, TrainingOptions options, int seed, string folder)
    {
        string model = r.GetValue(_model)!;
        var only = new List<NamePattern>();
        if (r.GetValue(_head) is string text)
        {
            (DenseHead head, string? at) = HeadText.Parse(text, "--head");
            string headed = Path.Combine(folder, "headed.onnx");
            MakeFolder(folder);
            ModelHead.Replace(model, headed, at, head with { Seed = seed });
            model = headed;
            // Adapters stand beside the body's weights; a head that was just drawn is trained as a whole.
            if (r.GetValue(_lora) is not null) only.AddRange(ModelHead.Parameters(headed));
        }
        if (r.GetValue(_freezeBody))
        {
            if (options.Parameters.TrainOnly.Length > 0)
                throw new ToolException("--freeze-body and --train-only both say what is trained; give one of them.");
            only.AddRange(ModelHead.Parameters(model));
            if (options.BatchNormalization == BatchNormalizationMode.AsExported)
                options = options with { BatchNormalization = BatchNormalizationMode.Inference };
        }
        if (r.GetValue(_lora) is string lora)
        {
            string adapted = Path.Combine(folder, "adapted.onnx");
            MakeFolder(folder);
            LoraAdapters.Attach(model, adapted, LoraText.Parse(lora) with { Seed = seed });
            model = adapted;
            only.Add(LoraAdapters.Parameters);
        }
        return (model, only.Count == 0 ? options
            : options with { Parameters = options.Parameters with { TrainOnly = [.. only.DistinctBy(p => p.Text)] } });
    }

    // A model of which some adapters are left is not merged, and nobody should take it for that.
    private static void Merge(string folder)
    {
        string model = Path.Combine(folder, "model.onnx"), merged = Path.Combine(folder, "merged.onnx");
        IReadOnlyList<string> quantised = LoraAdapters.Quantised(model);
        if (quantised.Count == 0)
        {
            LoraAdapters.Merge(model, merged);
            return;
        }
        // That of an earlier run has other weights.
        File.Delete(merged);
        Console.Error.WriteLine($"merged.onnx is not written: {string.Join(", ", quantised.Take(5))}"
            + $"{(quantised.Count > 5 ? $" and {quantised.Count - 5} more" : "")} are quantised, and an adapter cannot be added to such a "
            + $"weight. '{model}' has the adapters beside the weights and computes the trained model.");
    }

    // What matters of the settings; all of them are in run.json.
    private static void Announce(ParseResult r, TrainingPlan graphs, long examples, long? held, long steps, string folder,
        string? optimizer, string loss)
    {
        Console.Error.WriteLine($"{r.GetValue<string>("MODEL")}: {graphs.Parameters.Trained.Count} tensors trained, "
            + $"{graphs.Constrained.Count} of them may be bounded; loss {loss}");
        Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{r.GetValue<string>("--data")}: {examples} examples{(held is null ? "" : $", {held} to evaluate on")}, in batches of "
                + $"{r.GetValue<int>("--batch-size")}; {steps} steps"));
        Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{optimizer ?? r.GetValue<string>("--optimizer")}, learning rate {r.GetValue<double>("--lr")}, "
                + $"{r.GetValue<string>("--schedule")}; all settings are in {Path.Combine(folder, "run.json")}"));
    }

    private static void Report(TrainingDriver driver, FitResult result, string folder)
    {
        if (result.SkippedSteps > 0)
        {
            Console.Error.WriteLine($"warning: {result.SkippedSteps} steps were skipped since a gradient was not finite");
        }
        ConstraintTable.Write(driver.Optimizer);
        if (driver.Plan.Constrained.Count > 0) Console.WriteLine(result.ConstraintSummary);
        string last = result.Epochs.Count == 0 ? ""
            : string.Create(CultureInfo.InvariantCulture, $", last epoch's loss {result.Epochs[^1].Loss:G6}");
        if (result.Epochs.Count > 0 && result.Epochs[^1].Validation is EvaluationReport report)
        {
            last += string.Concat(report.Metrics.Prepend(new("loss", report.Loss))
                .Select(m => string.Create(CultureInfo.InvariantCulture, $", validation {m.Key} {m.Value:G6}")));
        }
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{result.Steps} steps in {result.Elapsed.TotalSeconds:F1} s{last}; trained model: {Path.Combine(folder, "model.onnx")}, "
            + $"picture: {Path.Combine(folder, "plot.png")}"));
    }

    private int Compare(ParseResult r, string[] optimizers, string folder, OpenedData data, CancellationToken cancellation)
    {
        int seeds = r.GetValue(_seeds), first = _job.Seed(r);
        if (seeds < 1) throw new ToolException($"--seeds is {seeds}; expected at least 1.");
        if (optimizers.Length == 0) throw new ToolException("--compare: expected names of optimizers with commas between.");
        foreach (string name in optimizers) RuleOptions.Check(name);
        var runs = new List<RunLog>();
        foreach (string optimizer in optimizers)
        {
            for (int seed = first; seed < first + seeds; seed++)
            {
                string part = Path.Combine(folder, $"{optimizer}-seed{seed}");
                Console.Error.WriteLine($"{optimizer}, seed {seed}");
                if (Single(r, optimizer, seed, part, data, cancellation) is null) return 130;
                runs.Add(RunLog.Read(part) with { Name = optimizer });
            }
        }
        Comparison.Write(runs);
        RunFigure.Save(runs, Path.Combine(folder, "compare.png"), new StepAxis());
        Console.WriteLine($"picture: {Path.Combine(folder, "compare.png")}");
        return 0;
    }
}
