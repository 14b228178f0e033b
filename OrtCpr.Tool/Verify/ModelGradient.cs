using System.Collections.Immutable;
using System.Text.Json;
using System.Text.RegularExpressions;
using OrtCpr.Graph;
using OrtCpr.Graph.Parameters;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Tool.Verify;

// Kind model-gradient: one TrainStep of a whole model; outputs, loss, every gradient and the running statistics are compared.
internal static class ModelGradient
{
    public static void Run(CaseData data, TensorCheck check, DriverOptions options)
    {
        string[] trainable = [.. data.Json("trainable", "[]").EnumerateArray().Select(e => e.GetString()!)];
        string[] outputs = [.. data.Names("output/")];
        TrainingPlan graphs = TrainingGraphBuilder.Build(data.ModelPath, new TrainingOptions
        {
            Loss = CaseLosses.Of(data),
            Parameters = new ParameterOptions { TrainOnly = Exactly(trainable) },
            TrainingOutputs = [.. outputs],
            BatchNormalization = Mode(data),
            Precision = check.Precision.Precision,
            LossScaling = CasePrecision.Scaling,
        });
        check.Precision.LeaveOutUnlessProducts(graphs.Training);
        using var driver = new TrainingDriver(graphs, options);
        using var batch = new Batch();
        foreach (string input in data.Names("input/")) batch.Add(input, data.Tensor($"input/{input}"));
        foreach (string target in data.Names("target/")) batch.Add(target, data.Tensor($"target/{target}"));
        double loss = driver.TrainStep(batch);

        double rtol = data.Number("rtol"), atol = data.Number("atol");
        foreach (string output in outputs)
        {
            check.Near($"output/{output}", driver.GetOutput(output), data.Tensor($"output/{output}"), atol, rtol);
        }
        if (data.Has("loss")) check.Near("loss", [loss], data.Tensor("loss").ToDoubles(), _ => atol, rtol);
        foreach (string name in data.Names("gradient/"))
        {
            TensorData expected = data.Tensor($"gradient/{name}");
            check.Near($"gradient/{name}", GradientOf(driver, graphs, name, expected), expected, atol, rtol);
        }
        foreach (string name in data.Names("running_population/"))
        {
            TensorData expected = data.Tensor($"running_population/{name}");
            double largest = expected.ToDoubles().Select(Math.Abs).DefaultIfEmpty(0).Max();
            check.Near($"running_population/{name}", driver.GetParameter($"{name}.pending"), expected, 1e-5 * largest, 0);
        }
        data.Ignore("running/");
    }

    // A parameter that the loss does not reach has no gradient; that is a gradient of zeros.
    private static TensorData GradientOf(TrainingDriver driver, TrainingPlan graphs, string name, TensorData expected)
    {
        ParameterInfo info = graphs.Parameters.All.FirstOrDefault(p => p.Name == name)
            ?? throw new CaseException($"gradient/{name}: the model has no floating initializer of that name");
        if (info.Trained) return driver.GetGradient(name);
        return info.Reason == "no path to the loss" ? TensorData.Create(expected.Type, expected.Dimensions, new byte[expected.Bytes.Length])
            : throw new CaseException($"gradient/{name}: not trained ({info.Reason})");
    }

    public static ImmutableArray<NamePattern> Exactly(IEnumerable<string> names) =>
        [.. names.Select(n => new NamePattern($"regex:{Regex.Escape(n)}"))];

    public static BatchNormalizationMode Mode(CaseData data) => data.Text("mode", "eval") == "train" ? BatchNormalizationMode.AsExported
        : BatchNormalizationMode.Inference;

    public static IReadOnlyDictionary<string, bool> Regularized(JsonElement json) =>
        json.EnumerateObject().ToDictionary(p => p.Name, p => p.Value.GetBoolean(), StringComparer.Ordinal);
}
