using System.CommandLine;
using System.Globalization;
using OrtCpr.Checkpoints;
using OrtCpr.Data;
using OrtCpr.Vision;

namespace OrtCpr.Tool.Train;

// `ortcpr evaluate MODEL|JOB --data PATH`: loss and metrics of a model, or of a job at one of its checkpoints.
internal static class EvaluateCommand
{
    public const string Name = "evaluate";

    // The job of a folder, which must be one: what its files are called is not the user's concern.
    public static TrainingDriver Load(string folder, DriverOptions options) =>
        Directory.Exists(folder) && new[] { "training.json", "training_model.onnx" }.Any(f => File.Exists(Path.Combine(folder, f)))
            ? ArtifactsFolder.Load(folder, options)
            : throw new ToolException($"'{folder}' is no run: "
                + $"{(Directory.Exists(folder) ? "it has no training.json" : "there is no such folder")}. Name the --out folder of a run.");

    public static Command Create()
    {
        Argument<string> model = new("MODEL") { Description = "An ONNX file, or the --out folder of a run." };
        Option<string?> checkpoint =
            new("--checkpoint") { Description = "A checkpoint of the run, such as best.safetensors; the last one by default." };
        Option<int> threads = new("--threads") { Description = "Threads; 0 for one a physical core." };
        var loss = new LossOptions();
        var data = new DataOptions();
        var fit = new FitSettings();
        Command command = new(Name,
            "Loss and metrics over data. A run is evaluated with the batch size and the reading of data that it was trained with, where no "
            + "other is given.\n\nExamples:\n  ortcpr evaluate trained --checkpoint trained/best.safetensors --data test.csv "
            + "--metric accuracy\n  ortcpr evaluate model.onnx --data test.npz --loss mse --output y")
            { model, checkpoint, threads };
        loss.AddTo(command);
        data.AddTo(command, training: false);
        command.Add(fit.MetricOption);
        command.SetAction((r, cancellation) =>
        {
            string path = r.GetValue(model)!;
            var options = new DriverOptions { Threads = r.GetValue(threads) };
            long examples = 0;
            EvaluationReport report = Directory.Exists(path) ? OfRun() : OfModel();
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"examples {examples}"));
            foreach ((string name, double value) in report.LossTerms.Select(t => new KeyValuePair<string, double>($"loss.{t.Key}", t.Value))
                .Prepend(new("loss", report.Loss)).Concat(report.Metrics))
            {
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name} {value:G8}"));
            }
            return Task.FromResult(0);

            EvaluationReport OfRun()
            {
                if (loss.IsGiven(r))
                {
                    throw new ToolException($"'{path}' is a run, whose loss is settled; --loss, --output and what belongs to them are for "
                        + "an ONNX file.");
                }
                using TrainingDriver driver = Load(path, options);
                if (r.GetValue(checkpoint) is string saved) TrainingCheckpoint.Load(driver, saved);
                using DataSource source = data.OpenOne(r, () => PictureModel.Of(path, driver.Plan));
                PictureOptions.Warn(source);
                examples = source.Count;
                return new Trainer(driver)
                    .Evaluate(data.Load(r, source, source as ImageSource, driver.Plan.BatchInputs, 0, training: false), fit.ReadMetrics(r),
                        cancellation);
            }

            EvaluationReport OfModel()
            {
                if (r.GetValue(checkpoint) is not null)
                    throw new ToolException($"--checkpoint is for the folder of a run; '{path}' is a file. Name the run's folder.");
                using var evaluation = new ModelEvaluation(path, loss.Read(r), options);
                foreach (string warning in evaluation.Plan.Warnings) Console.Error.WriteLine($"warning: {warning}");
                using DataSource source = data.OpenOne(r, () => PictureModel.Of(path));
                PictureOptions.Warn(source);
                examples = source.Count;
                return evaluation.Run(data.Load(r, source, source as ImageSource, evaluation.Plan.BatchInputs, 0, training: false),
                    fit.ReadMetrics(r),
                    cancellation);
            }
        });
        return command;
    }
}
