using System.CommandLine;
using System.Globalization;
using OrtCpr.Checkpoints;
using OrtCpr.Data;
using OrtCpr.Graph;

namespace OrtCpr.Tool.Train;

// `ortcpr evaluate MODEL|JOB --data PATH`: loss and metrics of a model, or of a job at one of its checkpoints.
internal static class EvaluateCommand
{
    public static Command Create()
    {
        Argument<string> model = new("MODEL") { Description = "An ONNX file, or the --out folder of a run." };
        Option<string?> checkpoint =
            new("--checkpoint") { Description = "A checkpoint of the run, such as best.safetensors; the last one by default." };
        Option<int> threads = new("--threads") { Description = "Threads; 0 for one a physical core." };
        var loss = new LossOptions();
        var data = new DataOptions();
        var fit = new FitSettings();
        Command command = new("evaluate",
            "Loss and metrics over data.\n\nExample:\n  ortcpr evaluate trained --checkpoint trained/best.safetensors --data test.csv "
            + "--label species --metric accuracy") { model, checkpoint, threads };
        loss.AddTo(command);
        data.AddTo(command, training: false);
        command.Add(fit.MetricOption);
        command.SetAction((r, cancellation) =>
        {
            string path = r.GetValue(model)!;
            var options = new DriverOptions { Threads = r.GetValue(threads) };
            using TrainingDriver driver = Directory.Exists(path) ? ArtifactsFolder.Load(path, options)
                : TrainingDriver.Create(path, new TrainingOptions { Loss = loss.Read(r) }, options);
            foreach (string warning in driver.Plan.Warnings.Where(_ => !Directory.Exists(path)))
                Console.Error.WriteLine($"warning: {warning}");
            if (r.GetValue(checkpoint) is string saved) TrainingCheckpoint.Load(driver, saved);
            using DataSource source = data.OpenOne(r);
            EvaluationReport report = new Trainer(driver)
                .Evaluate(data.Load(r, source, driver.Plan.BatchInputs, 0, training: false), fit.ReadMetrics(r), cancellation);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"examples {source.Count}"));
            foreach ((string name, double value) in report.LossTerms.Select(t => new KeyValuePair<string, double>($"loss.{t.Key}", t.Value))
                .Prepend(new("loss", report.Loss)).Concat(report.Metrics))
            {
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name} {value:G8}"));
            }
            return Task.FromResult(0);
        });
        return command;
    }
}
