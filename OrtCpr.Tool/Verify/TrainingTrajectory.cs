using System.Text.Json;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Tool.Verify;

// Kind training-trajectory: a whole training run on stored batches; loss, gradient norm, λ and κ of every step and the final weights are
// compared.
internal static class TrainingTrajectory
{
    public static void Run(CaseData data, TensorCheck check, DriverOptions options)
    {
        var config = new CaseConfig(data.Json("config", "{}"));
        long steps = config.Whole("steps"), accumulation = config.Whole("accumulation", 1);
        IReadOnlyDictionary<string, bool> regularize = ModelGradient.Regularized(data.Json("regularize", "{}"));
        string[] trainable = [.. data.Json("trainable", "[]").EnumerateArray().Select(e => e.GetString()!)];
        TrainingPlan graphs = TrainingGraphBuilder.Build(data.ModelPath, new TrainingOptions
        {
            Loss = CaseLosses.Of(data),
            Parameters = new ParameterOptions
            {
                TrainOnly = ModelGradient.Exactly(trainable),
                Constrain = ModelGradient.Exactly(regularize.Where(r => r.Value).Select(r => r.Key)),
                Unconstrain = ModelGradient.Exactly(regularize.Where(r => !r.Value).Select(r => r.Key)),
            },
            BatchNormalization = ModelGradient.Mode(data),
            Optimizer = Optimizer(config),
            Precision = check.Precision.Precision,
            LossScaling = CasePrecision.Scaling,
        });
        check.Precision.LeaveOutUnlessProducts(graphs.Training);
        using var driver = new TrainingDriver(graphs, options);
        double[] rates = data.Tensor("lr").ToDoubles();
        List<double> losses = [], norms = [];
        Dictionary<string, List<double>> lambdas = new(StringComparer.Ordinal), kappas = new(StringComparer.Ordinal);
        for (int t = 0; t < steps; t++)
        {
            driver.LazyResetGrad();
            double loss = 0;
            for (int a = 0; a < accumulation; a++)
            {
                using var batch = new Batch();
                foreach (string input in data.Names("batch/"))
                {
                    batch.Add(input, CaseData.Slice(data.Tensor($"batch/{input}"), (int)((t * accumulation) + a)));
                }
                foreach (string target in data.Names("target/"))
                {
                    batch.Add(target, CaseData.Slice(data.Tensor($"target/{target}"), (int)((t * accumulation) + a)));
                }
                loss += driver.TrainStep(batch) / accumulation;
            }
            driver.Optimizer.SetLearningRate(rates[t]);
            driver.OptimizerStep(1.0 / accumulation);
            losses.Add(loss);
            norms.Add(driver.Optimizer.GradientNorm);
            foreach (ConstraintInfo c in driver.Optimizer.GetConstraints())
            {
                Append(lambdas, c.Name, c.Lambda);
                // The package holds 0 in place of a bound that is not set yet.
                Append(kappas, c.Name, c.IsSet ? c.Kappa : 0);
            }
        }
        CompareSeries(check, data, "loss", losses);
        if (check.Precision.IsMixed)
        {
            // Everything else follows the weights, which go their own way after some steps.
            data.Ignore("");
            return;
        }
        CompareSeries(check, data, "grad_norm", norms);
        CompareConstraints(check, data, "lambda", lambdas);
        CompareConstraints(check, data, "kappa", kappas);
        JsonElement tolerances = data.Json("final_atol", "{}");
        foreach (string name in data.Names("final/"))
        {
            // Running statistics are ONNX's own: with the population variance.
            string stored = data.Has($"final_population/{name}") ? $"final_population/{name}" : $"final/{name}";
            check.Near(stored, driver.GetParameter(name), data.Tensor(stored), tolerances.GetProperty(name).GetDouble(), 0);
        }
        data.Ignore("final/");
    }

    private static OptimizerOptions Optimizer(CaseConfig c)
    {
        string name = c.Value("optimizer")?.ToString() ?? throw new CaseException("the config has no 'optimizer'");
        double rate = c.Number("lr");
        UpdateRule rule = name switch
        {
            "adamw" => UpdateRule.AdamW(rate, c.Number("weight_decay"), RecordedRule.Adam(c)),
            "adam" => UpdateRule.Adam(rate, RecordedRule.Adam(c)),
            "adamcpr" => UpdateRule.AdamCpr(rate, RecordedRule.Adam(c), RecordedRule.Constraint(c)),
            _ => throw new CaseException($"optimizer '{name}' is not supported; supported: adamw, adam, adamcpr"),
        };
        RecordedRule.SayNothingOfConstraints(c);
        double clip = c.Number("clip_norm", 0);
        // The rates of the steps and the choice of parameters are stored, so what they came from decides nothing here.
        c.Describes("warmup_steps", "final_lr_factor", "reg_embedding");
        CaseConfig.RefuseUnused(c);
        return new OptimizerOptions { Groups = [rule], MaxGradientNorm = clip };
    }

    private static void Append(Dictionary<string, List<double>> series, string name, double value)
    {
        if (!series.TryGetValue(name, out List<double>? list)) series[name] = list = [];
        list.Add(value);
    }

    private static void CompareSeries(TensorCheck check, CaseData data, string name, List<double> actual)
    {
        if (!data.Has(name)) return;
        double[] tolerance = data.Tensor($"tolerance/{name}").ToDoubles();
        check.Near(name, actual.ToArray(), data.Tensor(name).ToDoubles(), i => tolerance[i], 0);
    }

    // Relative to the largest value of the series.
    private static void CompareConstraints(TensorCheck check, CaseData data, string kind, Dictionary<string, List<double>> actual)
    {
        JsonElement tolerances = data.Json($"{kind}_rtol", "{}");
        foreach (string name in data.Names($"{kind}/"))
        {
            double[] expected = data.Tensor($"{kind}/{name}").ToDoubles();
            if (!actual.TryGetValue(name, out List<double>? series))
            {
                throw new CaseException($"{kind}/{name}: the parameter is not constrained here");
            }
            double largest = expected.Where(v => !double.IsNaN(v)).Select(Math.Abs).DefaultIfEmpty(0).Max();
            double atol = tolerances.GetProperty(name).GetDouble() * largest;
            check.Near($"{kind}/{name}", series.ToArray(), expected, _ => atol, 0);
        }
    }
}
