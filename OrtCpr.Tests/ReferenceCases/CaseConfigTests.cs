using System.Text.Json.Nodes;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Tool.Verify;

namespace OrtCpr.Tests.ReferenceCases;

/// <summary>verify honours every key of a case's config, and fails a case that has one of which it knows nothing.</summary>
[TestClass]
public sealed class CaseConfigTests
{
    private const int Steps = 24, Elements = 4;

    // CPR around SGD in plain arithmetic, apart from the product's code.
    private static string MakeCase(TemporaryFolder folder, JsonObject config, double momentum = 0, bool adaptive = false, double decay = 0,
        bool steps = true)
    {
        const double Rate = 0.05, Kappa = 3;
        double lambda = 0, kappa = Kappa;
        double[] theta = [1, -0.8, 0.6, 0.9], buffer = new double[Elements];
        List<double> gradients = [], values = [], lambdas = [], kappas = [], buffers = [];
        double[] start = [.. theta];
        int resets = 0;
        for (int t = 0; t < Steps; t++)
        {
            for (int i = 0; i < Elements; i++)
            {
                // First away from 0, then back.
                double gradient = (t < Steps / 3 ? -2.0 : 1.5) * Math.Sign(start[i]) * (1 + (0.1 * i));
                gradients.Add(gradient);
                double g = gradient + (decay * theta[i]);
                buffer[i] = t == 0 ? g : (momentum * buffer[i]) + g;
                theta[i] -= Rate * (momentum == 0 ? g : buffer[i]);
            }
            double measure = theta.Sum(v => v * v), raised = Math.Max(0, lambda + ((measure - kappa) / Elements));
            if (adaptive && lambda > 0 && raised == 0)
            {
                kappa = measure;
                resets++;
            }
            lambda = raised;
            for (int i = 0; i < Elements; i++) theta[i] -= lambda * 2 * theta[i];
            values.AddRange(theta);
            buffers.AddRange(buffer);
            lambdas.Add(lambda);
            kappas.Add(kappa);
        }
        if (adaptive) Assert.IsGreaterThan(0, resets, "the case must have a reset of the bound");
        var tensors = new Dictionary<string, TensorData>
        {
            ["param/w/init"] = TensorData.From<double>(start, Elements),
            ["grad/w"] = TensorData.From<double>([.. gradients], Steps, Elements),
            ["param/w"] = TensorData.From<double>([.. values], Steps, Elements),
            ["lambda/w"] = TensorData.From<double>([.. lambdas], Steps),
            ["kappa/w"] = TensorData.From<double>([.. kappas], Steps),
        };
        if (momentum != 0) tensors["momentum_buffer/w"] = TensorData.From<double>([.. buffers], Steps, Elements);
        JsonObject all = new()
        {
            ["lr"] = Rate,
            ["betas"] = new JsonArray(0.9, 0.999),
            ["eps"] = 1e-8,
            ["kappa_init_method"] = "uniform",
            ["kappa_init_param"] = Kappa,
            ["reg_function"] = "l2",
            ["kappa_update"] = 1.0,
            ["reg_step_size"] = null,
            ["momentum"] = momentum,
            ["weight_decay"] = decay,
            ["groups"] = new JsonArray(new JsonObject { ["params"] = new JsonArray("w"), ["regularize"] = true }),
            ["steps"] = steps ? Steps : Steps + 1,
            ["dtype"] = "float64",
        };
        foreach ((string key, JsonNode? value) in config) all[key] = value?.DeepClone();
        string path = folder["case.safetensors"];
        SafetensorsFile.Write(path, tensors,
            new Dictionary<string, string> { ["kind"] = "optimizer-trajectory", ["config"] = all.ToJsonString() });
        return path;
    }

    private static CaseResult Run(JsonObject config, double momentum = 0, bool adaptive = false, double decay = 0, bool steps = true)
    {
        using var folder = new TemporaryFolder();
        return CaseRunner.Run(MakeCase(folder, config, momentum, adaptive, decay, steps), new DriverOptions { Threads = 1 });
    }

    [TestMethod]
    [DataRow("SGD+CPR", "SGD", 0.0, false, 0.0)]
    [DataRow("SGD+CPR", null, 0.9, false, 0.0)]
    [DataRow("AdamCPR", "SGD", 0.0, false, 0.0)]
    [DataRow("AdamCPR", "SGD", 0.9, false, 0.01)]
    [DataRow("AdaCPR", "SGD", 0.0, true, 0.0)]
    [DataRow("AdaCPR", "SGD", 0.5, true, 0.0)]
    public void CprOverAnyBase_RunsOverThatBase(string algorithm, string? rule, double momentum, bool adaptive, double decay)
    {
        CaseResult result = Run(new JsonObject { ["algorithm"] = algorithm, ["base"] = rule }, momentum, adaptive, decay);
        Assert.IsTrue(result.Passed, result.Message);
    }

    [TestMethod]
    public void KappaAdapt_IsAdaCprUnderAnyName() =>
        Assert.IsTrue(Run(new JsonObject { ["algorithm"] = "SGD+CPR", ["kappa_adapt"] = "reduce" }, adaptive: true).Passed);

    [TestMethod]
    [DataRow("kappa_decay", "0.5", "'kappa_decay' 0.5")]
    [DataRow("amsgrad", "true", "'amsgrad'")]
    [DataRow("awd_lambda", "0.1", "'awd_lambda' 0.1")]
    [DataRow("rescale_alpha", "0.1", "'rescale_alpha' 0.1")]
    [DataRow("base", "\"Lion\"", "'base' of the config is Lion; expected one of adam, adamw, sgd")]
    [DataRow("base", "\"Adam\"", "is over SGD, but 'base' of the config is Adam")]
    [DataRow("kappa_adapt", "\"raise\"", "'kappa_adapt' of the config is raise")]
    [DataRow("kappa_scale", "\"median\"", "'kappa_scale' of the config is median")]
    [DataRow("evaluate_at", "\"then\"", "'evaluate_at' of the config is then")]
    [DataRow("reg_function", "\"l3\"", "'reg_function' of the config is l3")]
    [DataRow("kappa_init_param", "null", "the config has no 'kappa_init_param'")]
    [DataRow("momentum", "\"much\"", "'momentum' of the config is much; expected a number")]
    [DataRow("dtype", "\"float32\"", "'dtype' of the config means Float")]
    [DataRow("algorithm", "\"Lion\"", "algorithm 'Lion' is not supported")]
    [DataRow("groups", "[{\"params\":[\"w\"],\"regularize\":true,\"nesterow\":true}]", "'nesterow' True")]
    [DataRow("groups", "[{\"params\":[\"w\"]}]", "has no 'regularize'")]
    public void AKeyThatIsNotHonoured_FailsTheCase_ByName(string key, string value, string part)
    {
        CaseResult result = Run(new JsonObject { ["algorithm"] = "SGD+CPR", [key] = JsonNode.Parse(value) });
        Assert.IsFalse(result.Passed);
        StringAssert.Contains(result.Message, part);
    }

    [TestMethod]
    public void KeysThatSayNothing_MayBeThere() =>
        Assert.IsTrue(Run(new JsonObject
        {
            ["algorithm"] = "SGD+CPR",
            ["kappa_decay"] = null,
            ["amsgrad"] = false,
            ["max_wait_steps"] = 5,
            ["formula"] = "any"
        }).Passed);

    [TestMethod]
    public void AnotherNumberOfSteps_FailsTheCase() =>
        StringAssert.Contains(Run(new JsonObject { ["algorithm"] = "SGD+CPR" }, steps: false).Message, "'steps' of the config is 25");

    [TestMethod]
    public void AnUnknownKeyOfATrainingRun_FailsTheCase()
    {
        using var folder = new TemporaryFolder();
        string source = Path.Combine(AppContext.BaseDirectory, "Data", "cases", "trajectories", "grokking_cpr_dependent_l2.safetensors");
        using SafetensorsFile file = SafetensorsFile.Read(source);
        JsonObject config = JsonNode.Parse(file.Metadata["config"])!.AsObject();
        config["grad_noise"] = 0.1;
        SafetensorsFile.Write(folder["case.safetensors"], file.Tensors,
            new Dictionary<string, string>(file.Metadata) { ["config"] = config.ToJsonString() });
        File.Copy(Path.ChangeExtension(source, ".onnx"), folder["case.onnx"]);
        StringAssert.Contains(CaseRunner.Run(folder["case.safetensors"], new DriverOptions()).Message, "'grad_noise' 0.1");
    }
}
