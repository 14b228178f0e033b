using System.Diagnostics;
using OrtCpr;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Optimizers;

namespace Service;

// The service: what it is made of, and its routes.
internal static class LearningService
{
    private const int MostBytes = 4 << 20;

    public static async Task<int> RunAsync(Settings settings)
    {
        Directory.CreateDirectory(settings.Out);
        using TrainingDriver driver = Driver(settings);
        ServedModel first = TrainingWorker.Export(driver, settings.ModelPath);
        using var slot = new ModelSlot(first);
        using var examples = new ExampleStore(settings.ExamplesPath, slot.Shape, settings.Keep);
        await using WebApplication app = Build(settings, driver, slot, examples);
        await app.StartAsync();
        // As the log says too; on one line of its own for whoever starts the service and wants its address.
        foreach (string url in app.Urls) Console.WriteLine($"serving at {url}");
        await app.WaitForShutdownAsync();
        return 0;
    }

    // The model with its training, from the checkpoint where there is one.
    private static TrainingDriver Driver(Settings settings)
    {
        TrainingDriver driver = TrainingDriver.Create(settings.ModelPath, new TrainingOptions
        {
            Loss = new CrossEntropyLoss(),
            Optimizer = new OptimizerOptions
            {
                Groups = [UpdateRule.AdamCpr(settings.Lr, constraint: new ConstrainNorm { Bound = Bound.AfterSteps(200) })],
            },
        }, new DriverOptions { Threads = settings.TrainingThreads });
        try
        {
            if (File.Exists(settings.CheckpointPath)) TrainingCheckpoint.Load(driver, settings.CheckpointPath);
            return driver;
        }
        catch
        {
            driver.Dispose();
            throw;
        }
    }

    private static WebApplication Build(Settings settings, TrainingDriver driver, ModelSlot slot, ExampleStore examples)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls($"http://{settings.Host}:{settings.Port}").ConfigureKestrel(k => k.Limits.MaxRequestBodySize = MostBytes);
        builder.Logging.AddSimpleConsole(o => o.SingleLine = true);
        builder.Services.AddMetrics()
            .AddSingleton(settings).AddSingleton(driver).AddSingleton(slot).AddSingleton(examples)
            .AddSingleton<ServiceMetrics>().AddSingleton<MetricsPage>().AddSingleton<TrainingWorker>()
            .AddHostedService(s => s.GetRequiredService<TrainingWorker>())
            // Time for the step at hand and the checkpoint.
            .Configure<HostOptions>(o => o.ShutdownTimeout = TimeSpan.FromSeconds(30));
        WebApplication app = builder.Build();
        // Listens before the first measurement.
        app.Services.GetRequiredService<MetricsPage>();
        app.Use(Measure);
        app.MapPost("/predict", Predict);
        app.MapPost("/examples", Take);
        app.MapGet("/status", Status);
        app.MapGet("/metrics", (MetricsPage page) => Results.Text(page.Write()));
        return app;
    }

    private static async Task Measure(HttpContext context, RequestDelegate next)
    {
        long start = Stopwatch.GetTimestamp();
        try
        {
            await next(context);
        }
        finally
        {
            string route = (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "none";
            context.RequestServices.GetRequiredService<ServiceMetrics>()
                .Answered(route, context.Response.StatusCode, Stopwatch.GetElapsedTime(start));
        }
    }

    private static IResult Predict(PredictRequest request, ModelSlot slot)
    {
        if (!slot.Shape.TryFlatten(request.X, out float[]? rows, out string problem)) return Refused(problem);
        (float[] logits, long version) = slot.Use(model => (model.Run(rows), model.Version));
        float[][] shares = [.. logits.Chunk(slot.Shape.Classes).Select(Softmax)];
        return Results.Ok(new PredictAnswer(version, [.. shares.Select(s => Array.IndexOf(s, s.Max()))], shares));
    }

    private static IResult Take(ExamplesRequest request, ModelSlot slot, ExampleStore examples, ServiceMetrics metrics)
    {
        if (!slot.Shape.TryFlatten(request.X, out float[]? rows, out string problem)) return Refused(problem);
        if (slot.Shape.ProblemOf(request.Labels, request.X!.Length) is string wrong) return Refused(wrong);
        examples.Add(rows, request.Labels!);
        metrics.Took(request.Labels!.Length);
        return Results.Json(new { taken = request.Labels.Length, kept = examples.Count.Kept }, statusCode: StatusCodes.Status202Accepted);
    }

    private static IResult Status(TrainingWorker worker, ModelSlot slot, ExampleStore examples, ServiceMetrics metrics)
    {
        (int kept, long seen) = examples.Count;
        double? loss = double.IsNaN(metrics.Loss) ? null : metrics.Loss;
        TrainingState state = worker.State;
        return Results.Ok(new
        {
            slot.Version,
            examples = new { kept, seen },
            training = new { running = state.IsTraining, metrics.Steps, loss, state.ValidationLoss, state.Accuracy, state.Problem },
            metrics.Swaps,
            metrics.Requests,
        });
    }

    private static IResult Refused(string problem) => Results.Problem(problem, statusCode: StatusCodes.Status400BadRequest);

    private static float[] Softmax(float[] logits)
    {
        float largest = logits.Max();
        float[] powers = [.. logits.Select(l => MathF.Exp(l - largest))];
        float sum = powers.Sum();
        return [.. powers.Select(p => p / sum)];
    }
}

// Rows of numbers.
internal sealed record PredictRequest(float[][]? X);

// Which weights answered (optimizer steps that they have seen), and the class and the share of each class for each row.
internal sealed record PredictAnswer(long Version, int[] Classes, float[][] Shares);

// Rows and a class each.
internal sealed record ExamplesRequest(float[][]? X, long[]? Labels);
