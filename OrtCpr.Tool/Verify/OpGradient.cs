using OrtCpr.Graph;

namespace OrtCpr.Tool.Verify;

// Kind op-gradient: a vector-Jacobian product of a small model, through GradientSession.
internal static class OpGradient
{
    public static void Run(CaseData data, TensorCheck check, DriverOptions options)
    {
        string[] outputs = [.. data.Names("output/")], cotangents = [.. data.Names("cotangent/")], gradients = [.. data.Names("gradient/")];
        GradientModel model = GradientModel.Build(data.ModelPath, cotangents, gradients);
        check.Precision.LeaveOutUnlessProducts(model.Model);
        check.Units = CasePrecision.OperatorUnits;
        using var session = new GradientSession(model, options, check.Precision.Precision);
        using var batch = new Batch();
        foreach (string input in data.Names("input/")) batch.Add(input, data.Tensor($"input/{input}"));
        foreach (string cotangent in cotangents) batch.Add(GradientModel.CotangentOf(cotangent), data.Tensor($"cotangent/{cotangent}"));
        IReadOnlyDictionary<string, TensorData> results = session.Run(batch, [.. outputs, .. gradients.Select(g => model.Gradients[g])]);
        double rtol = data.Number("rtol"), atol = data.Number("atol");
        foreach (string output in outputs) check.Near($"output/{output}", results[output], data.Tensor($"output/{output}"), atol, rtol);
        foreach (string name in gradients)
        {
            check.Near($"gradient/{name}", results[model.Gradients[name]], data.Tensor($"gradient/{name}"), atol, rtol);
        }
    }
}
