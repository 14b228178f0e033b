using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tool.Verify;

// Kind optimizer-trajectory: steps the written optimizer graph on the stored gradients and compares every tensor after every step.
internal static class OptimizerTrajectory
{
    private static readonly string[] Moments = ["exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer"];

    public static void Run(CaseData data, TensorCheck check, DriverOptions options)
    {
        var config = new OptimizerConfig(data.Json("config", "{}"));
        // Where the device has no float64, float64 runs are made in float32 and held to its tolerance.
        bool narrow = !DeviceCatalog.CapabilitiesOf(options.Device).Float64;
        var parameters = new List<ParameterSpec>();
        var initial = new Dictionary<string, TensorData>(StringComparer.Ordinal);
        for (int g = 0; g < config.Groups.Length; g++)
        {
            (string[] names, bool regularize) = config.Groups[g];
            foreach (string name in names)
            {
                TensorData stored = data.Tensor($"param/{name}/init"), start = Narrow(stored, narrow);
                if (stored.Type != config.Type)
                {
                    throw new CaseException($"'dtype' of the config means {config.Type}, but 'param/{name}/init' is {stored}");
                }
                initial[name] = start;
                parameters.Add(new ParameterSpec(name, start.Type, start.Dimensions, regularize, g));
            }
        }
        TrainingPlan graph = TrainingPlan.ForOptimizer(parameters, config.Options);
        using var driver = new OptimizerDriver(graph, initial, options);
        int steps = (int)data.Tensor($"grad/{parameters[0].Name}").Dimensions[0];
        if (config.Steps is long told && told != steps)
        {
            throw new CaseException($"'steps' of the config is {told}, but there are gradients of {steps}");
        }
        double[]? rates = data.Has("lr") ? data.Tensor("lr").ToDoubles() : null;
        var shared = new List<double>();
        var recorded = parameters.ToDictionary(p => p.Name, p => new Recorder(p), StringComparer.Ordinal);
        for (int t = 0; t < steps; t++)
        {
            foreach (ParameterSpec p in parameters)
            {
                driver.SetGradient(p.Name, Narrow(CaseData.Slice(data.Tensor($"grad/{p.Name}"), t), narrow));
                if (data.Has($"present/{p.Name}")) driver.SetGradientPresent(p.Name, data.Tensor($"present/{p.Name}").ToInt64s()[t] != 0);
            }
            if (rates is not null)
            {
                for (int g = 0; g < config.Groups.Length; g++) driver.SetLearningRate(rates[t], g);
            }
            driver.Step();
            if (data.Has("awd")) shared.AddRange(driver.Get("awd").ToDoubles());
            var constraints = driver.GetConstraints().ToDictionary(c => c.Name, StringComparer.Ordinal);
            foreach (ParameterSpec p in parameters) recorded[p.Name].Add(driver, constraints.GetValueOrDefault(p.Name), data);
        }
        foreach (ParameterSpec p in parameters) recorded[p.Name].Compare(data, check, config);
        if (data.Has("awd")) check.Near("awd", [.. shared], data.Tensor("awd").ToDoubles(), _ => 0, 1e-5);
    }

    private static TensorData Narrow(TensorData data, bool narrow) => narrow && data.Type == ElementType.Double
        ? data.ConvertTo(ElementType.Float) : data;

    // What one parameter went through.
    private sealed class Recorder(ParameterSpec parameter)
    {
        private readonly Dictionary<string, List<double>> _values = new(StringComparer.Ordinal);

        public void Add(OptimizerDriver driver, ConstraintInfo? constraint, CaseData data)
        {
            Append("param", driver.Get(parameter.Name).ToDoubles());
            foreach (string moment in Moments.Where(m => data.Has($"{m}/{parameter.Name}")))
                Append(moment, driver.Get($"{parameter.Name}.{moment}").ToDoubles());
            Append("lambda", [constraint?.Lambda ?? 0]);
            Append("kappa", [constraint?.Kappa ?? double.NaN]);
        }

        public void Compare(CaseData data, TensorCheck check, OptimizerConfig config)
        {
            bool isDouble = parameter.Type == ElementType.Double;
            double share = isDouble ? 1e-9 : 4e-6, rtol = isDouble ? 1e-9 : 1e-5;
            foreach ((string kind, List<double> values) in _values)
            {
                string name = $"{kind}/{parameter.Name}";
                if (!data.Has(name)) continue;
                double[] expected = data.Tensor(name).ToDoubles();
                double largest = Largest(expected);
                double atol = share * largest;
                if (kind == "lambda" && data.Has($"kappa/{parameter.Name}") && config.Options.Groups[parameter.Group].Constraint
                    is ConstrainNorm c)
                {
                    // λ adds up the rounding of R − κ.
                    double mu = c.Regularizer == Regularizer.Std ? c.KappaUpdate : c.KappaUpdate / parameter.ElementCount;
                    atol += rtol * mu * Largest(data.Tensor($"kappa/{parameter.Name}").ToDoubles());
                }
                check.Near(name, values.ToArray(), expected, _ => atol, rtol);
            }
        }

        private void Append(string kind, double[] values)
        {
            if (!_values.TryGetValue(kind, out List<double>? all)) _values[kind] = all = [];
            all.AddRange(values);
        }

        private static double Largest(double[] values) => values.Where(v => !double.IsNaN(v)).Select(Math.Abs).DefaultIfEmpty(0).Max();
    }
}
