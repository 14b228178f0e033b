using System.Text.Json;
using OrtCpr;
using OrtCpr.Graph;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.OrtTraining;

namespace Browser;

// What the page trains: a model that has seen neat digits only, its artifacts, and a run of ours that the browser's is held against.
internal sealed class Job
{
    private const double Rate = 1e-3; // The only one that the browser's API has.

    private readonly Settings _settings;

    private Job(Settings settings, TrainingPlan plan)
    {
        _settings = settings;
        Plan = plan;
    }

    public TrainingPlan Plan { get; }

    // Parameters stay below the size that they had when the page was opened: a few examples turn the weights and do not grow them.
    private static OptimizerOptions Optimizer => new()
    {
        Groups = [UpdateRule.AdamCpr(Rate, constraint: new ConstrainNorm { Bound = Bound.TimesInitial(1) })],
    };

    public static Job Prepare(Settings settings, Action<string> say)
    {
        Directory.CreateDirectory(settings.Out);
        var random = new Random(settings.Seed);
        Drawings neat = Drawings.Make(random, 500, _ => false), other = Drawings.Make(random, 500, _ => true);
        Pretrain(settings, random, neat, other, say);
        var job = new Job(settings, TrainingGraphBuilder.Build(settings.ModelPath,
            new TrainingOptions { Loss = new CrossEntropyLoss(), Optimizer = Optimizer }));
        GenuineArtifacts.Write(job.Plan, settings.ArtifactsFolder);
        job.WriteForPage(random, neat, other);
        say($"artifacts in '{settings.ArtifactsFolder}', {job.Plan.Trained.Sum(p => p.ElementCount)} parameters, "
            + $"{job.Plan.Trained.Count(p => p.Constrained)} matrices constrained");
        return job;
    }

    private static void Pretrain(Settings settings, Random random, Drawings neat, Drawings other, Action<string> say)
    {
        const int Size = 64;
        var options = new TrainingOptions
        {
            Loss = new CrossEntropyLoss(),
            Seed = settings.Seed,
            Optimizer = new OptimizerOptions
            {
                Groups = [UpdateRule.AdamCpr(3e-3, constraint: new ConstrainNorm { Bound = Bound.AfterSteps(100) })],
            },
        };
        using TrainingDriver driver = TrainingDriver.Create(Path.Combine(AppContext.BaseDirectory, "digits.onnx"), options,
            new DriverOptions { Threads = 1 });
        for (int step = 0; step < settings.Steps; step++)
        {
            using Batch batch = Drawings.Make(random, Size, _ => false).ToBatch(0, Size);
            driver.Step(batch);
        }
        say($"{settings.Steps} steps on neat digits: {Accuracy(driver, neat):P1} of such are read, "
            + $"{Accuracy(driver, other):P1} of other people's");
        driver.ExportModel(settings.ModelPath);
    }

    private static double Accuracy(TrainingDriver driver, Drawings drawings)
    {
        using Batch batch = drawings.ToBatch(0, drawings.Count);
        using Prediction prediction = driver.Predict(batch, "logits");
        float[] scores = prediction["logits"].GetTensorDataAsSpan<float>().ToArray();
        return scores.Chunk(Drawings.Classes).Zip(drawings.Labels, (s, label) => Array.IndexOf(s, s.Max()) == label ? 1.0 : 0).Average();
    }

    private void WriteForPage(Random random, Drawings neat, Drawings other)
    {
        Drawings batches = Drawings.Make(random, _settings.CheckSteps * _settings.BatchSize, i => i % 2 == 1);
        (Dictionary<string, double> kappas, object[] steps) = Reference(batches);
        // In the order of the runtime's flat buffer, which is that of the model's file.
        Dictionary<string, ParameterSpec> trained = Plan.Trained.ToDictionary(p => p.Name);
        int offset = 0;
        var parameters = new List<object>();
        foreach (ParameterSpec p in Plan.Parameters.All.Where(p => trained.ContainsKey(p.Name)).Select(p => trained[p.Name]))
        {
            double? kappa = kappas.TryGetValue(p.Name, out double k) ? k : null;
            parameters.Add(new { p.Name, Offset = offset, Count = p.ElementCount, Kappa = kappa });
            offset += (int)p.ElementCount;
        }
        File.WriteAllText(Path.Combine(_settings.Out, "job.json"), JsonSerializer.Serialize(new
        {
            Drawings.Side,
            Drawings.Classes,
            _settings.BatchSize,
            Parameters = parameters,
            Check = new { batches.Images, batches.Labels, Steps = steps },
            Neat = Part(neat),
            Other = Part(other),
        }, JsonSerializerOptions.Web));

        static object Part(Drawings all) => new { Images = all.Images[..200], Labels = all.Labels[..200] };
    }

    // Stock ONNX Runtime on the same batches: loss, λ and R of each matrix after each step.
    private (Dictionary<string, double> Kappas, object[] Steps) Reference(Drawings batches)
    {
        using TrainingDriver driver = new(Plan, new DriverOptions { Threads = 1 });
        var steps = new List<object>();
        for (int step = 0; step < _settings.CheckSteps; step++)
        {
            using Batch batch = batches.ToBatch(step * _settings.BatchSize, _settings.BatchSize);
            double loss = driver.Step(batch);
            IReadOnlyList<ConstraintInfo> constraints = driver.Optimizer.MeasureConstraints();
            steps.Add(new
            {
                Loss = loss,
                Lambdas = constraints.ToDictionary(c => c.Name, c => c.Lambda),
                Measures = constraints.ToDictionary(c => c.Name, c => c.Measure),
            });
        }
        return (driver.Optimizer.GetConstraints().ToDictionary(c => c.Name, c => c.Kappa), [.. steps]);
    }
}
