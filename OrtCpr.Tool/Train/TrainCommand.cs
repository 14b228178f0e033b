using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Graph.Heads;
using OrtCpr.Tool.Figures;
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
          ortcpr train resnet18.onnx --data cifar-100-binary --head classes=100,dropout=0.1 --freeze-body --unfreeze-at 3 --epochs 10
          ortcpr train resnet18.onnx --data flowers --head classes=5 --freeze-body --cache-features --epochs 50
          ortcpr train minilm.onnx --data texts.csv --text title --label topic --tokenizer vocab.txt --head classes=4 --freeze-body
          ortcpr train sounds.onnx --data recordings --sample-rate 16000 --augment --metric accuracy
          ortcpr train mlp.onnx --data table.csv --label species --compare adamw,adamcpr --seeds 3
          ortcpr train --config trained/run.json --resume
          mpirun -n 4 ortcpr train gpt.onnx --data train.bin --batch-size 8 --steps 5000
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
    private readonly Option<bool> _shard = new("--shard-state")
    {
        Description = "Under mpirun: each process keeps the optimizer's state of its share of the parameters only.",
    };
    private readonly Option<long> _outer = new("--outer-interval")
    {
        Description = "Under mpirun: steps that each process makes alone between two exchanges, when all bounds are set; 0 for gradients "
            + "in each step.",
    };
    private readonly Option<bool> _findRate =
        new("--find-lr") { Description = "Tries learning rates from 1e-7 to 1 instead of training, and draws the losses." };
    private readonly Option<bool> _report =
        new("--report") { Description = "Writes report.html too, with confusion matrix and worst examples of the validation data." };
    private readonly DataOptions _data = new();
    private readonly JobOptions _job = new();
    private readonly FineTuning _tuning = new();
    private readonly FitSettings _fit = new();

    public static Command Create()
    {
        var train = new TrainCommand();
        Command command = new("train", Examples) { train._model };
        train._data.AddTo(command, training: true);
        train._fit.AddTo(command);
        train._job.AddTo(command);
        foreach (Option option in new Option[] { train._threads, train._device, train._target,
            train._findRate, train._report, train._shard, train._outer, train._resume, train._compare, train._seeds })
        {
            command.Add(option);
        }
        train._tuning.AddTo(command);
        command.SetAction((r, cancellation) => Task.FromResult(train.Run(r, cancellation)));
        return command;
    }

    private int Run(ParseResult r, CancellationToken cancellation)
    {
        using var ranks = new ToolRanks();
        try
        {
            return Run(r, ranks, cancellation);
        }
        catch (Exception error) when (ranks.Size > 1)
        {
            return ranks.Fail(error);
        }
    }

    private int Run(ParseResult r, ToolRanks ranks, CancellationToken cancellation)
    {
        ranks.RefuseWithOthers(r, _compare, _findRate, _tuning.CacheOption);
        _fit.Check(r);
        _tuning.Check(r, _fit.Epochs(r), _data.Augments(r));
        string folder = r.GetValue(_target)!;
        string text = RunConfig.Text(r);
        ranks.Once(() => MakeFolder(folder, text));
        // A new head has classes of its own.
        DenseHead? head = _tuning.Head(r);
        using OpenedData data = _data.Open(r, _job.Seed(r), () =>
        {
            PictureModel model = PictureModel.Of(r.GetValue(_model)!);
            return head is null ? model : model with { ClassNames = head.ClassNames };
        });
        ranks.Once(() => ClassFile.Write(folder, _data.Classes));
        return r.GetValue(_compare) is string names
            ? Compare(r, names.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries), folder, data,
                ranks, cancellation)
            : Single(r, null, _job.Seed(r), folder, data, ranks, cancellation) is null ? 130 : 0;
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
    private FitResult? Single(ParseResult r, string? optimizer, int seed, string folder, OpenedData data, ToolRanks ranks,
        CancellationToken cancellation)
    {
        (DataSource training, DataSource? validation) = (data.Training, data.Validation);
        // Batches are known only when the graphs are, and the graphs want to know how long the run is.
        long batches = _data.BatchCount(r, training.Count, ranks.Size), steps = _fit.Steps(r, batches);
        ranks.Once(() => MakeFolder(folder));
        // Bounds are those of the parameters that are trained last.
        long later = steps - _fit.Steps(r, batches, _tuning.EpochsOfHead(r));
        TrainingOptions options = _job.Read(r, later > 0 ? later : steps, optimizer, seed, training);
        string model = r.GetValue(_model)!;
        // The first rank writes models that are changed; the others find them written.
        ranks.Once(() => _tuning.Write(r, model, seed, folder));
        (model, options) = _tuning.Apply(r, model, options, folder);
        TrainingPlan graphs = TrainingGraphBuilder.Build(model, options);
        ClassCheck.Run(graphs, training);
        DataLoader loader = _data.Load(r, training, data.Pictures, graphs.BatchInputs, seed, training: true);
        DataLoader? held = validation is null ? null : _data.Load(r, validation, data.Pictures, graphs.BatchInputs, seed,
            training: false);
        Announce(r, graphs, training.Count, validation?.Count, steps, folder, optimizer, _job.LossOf(r));
        if (data.Pictures is not null) PictureOptions.Announce(data.Pictures);
        foreach (string warning in graphs.Warnings) Console.Error.WriteLine($"warning: {warning}");
        DriverOptions driverOptions = ranks.Options(r.GetValue(_threads), r.GetValue(_device)!, r.GetValue(_shard),
            r.GetValue(_outer));
        using var driver = new TrainingDriver(graphs, driverOptions);
        if (r.GetValue(_findRate))
        {
            RateSearch.Run(driver, loader, steps, folder, cancellation);
            return new FitResult { Epochs = [], Steps = 0, SkippedSteps = 0, ConstraintSummary = "", Elapsed = TimeSpan.Zero };
        }
        using CachedHead? cached = !_tuning.CachesFeatures(r) ? null : CachedHead.Create(model, options, driverOptions, training,
            validation, inputs => _data.Loading(r, training, data.Pictures, inputs, seed, training: false), Path.Combine(folder, "head"),
            cancellation);
        TrainingDriver trained = cached?.Driver ?? driver;
        DataLoader? heldFeatures = cached?.Validation is null ? null
            : _data.LoadFeatures(r, cached.Validation, trained.Plan.BatchInputs, seed, training: false);
        trained.SetSchedule(_fit.ScheduleOf(r, steps));
        bool resume = r.GetValue(_resume);
        // The graphs first: with them and any checkpoint the folder is a whole job.
        resume &= File.Exists(Path.Combine(folder, "training.json"));
        if (!resume) ArtifactsFolder.Save(driver, folder);
        if (ranks.Size > 1) Console.Error.WriteLine($"{ranks.Size} processes, each with batches of {_data.BatchSize(r)}");
        FitResult result;
        try
        {
            result = new Trainer(trained).Fit(
                cached is null ? loader : _data.LoadFeatures(r, cached.Training, trained.Plan.BatchInputs, seed, training: true),
                _fit.Read(r, folder, cached?.Folder ?? folder, cached is null ? held : heldFeatures, resume,
                    _tuning.Callback(r, model, graphs)), cancellation);
        }
        catch (OperationCanceledException)
        {
            Console.Error.WriteLine($"stopped after {trained.Optimizer.Steps} steps; go on with: ortcpr train --config "
                + $"{Path.Combine(folder, "run.json")} --resume");
            return null;
        }
        cached?.MoveTo(driver, folder);
        driver.ExportModel(Path.Combine(folder, "model.onnx"));
        if (!ranks.IsFirst) return result;
        ClassCheck.NameClasses(Path.Combine(folder, "model.onnx"), graphs, training);
        if (_tuning.HasAdapters(r)) FineTuning.Merge(folder);
        RunFigure.Save([RunLog.Read(folder)], Path.Combine(folder, "plot.png"), new StepAxis());
        if (r.GetValue(_report))
        {
            ImmutableArray<string> names = training.Columns.FirstOrDefault(c => c.IsLabel)?.ClassNames ?? [];
            if (validation is not null)
            {
                ValidationDetails.Collect(trained, heldFeatures ?? held!, names, rows => _data.Load(r, validation.Select(rows),
                    data.Pictures, graphs.BatchInputs, seed, training: false), cancellation)?.Save(folder);
            }
            ReportCommand.Write(folder, Path.Combine(folder, ReportCommand.FileName));
        }
        Report(trained, result, folder);
        return result;
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

    private int Compare(ParseResult r, string[] optimizers, string folder, OpenedData data, ToolRanks ranks,
        CancellationToken cancellation)
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
                if (Single(r, optimizer, seed, part, data, ranks, cancellation) is null) return 130;
                runs.Add(RunLog.Read(part) with { Name = optimizer });
            }
        }
        Comparison.Write(runs);
        RunFigure.Save(runs, Path.Combine(folder, "compare.png"), new StepAxis());
        Console.WriteLine($"picture: {Path.Combine(folder, "compare.png")}");
        return 0;
    }
}
