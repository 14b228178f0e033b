using Microsoft.ML.OnnxRuntime;
using OrtCpr.CustomOps;
using OrtCpr.Graph;
using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Tests.Kernels;

namespace OrtCpr.Tests.CustomOps;

[TestClass]
public sealed class CustomOpDomainTests
{
    [TestMethod]
    public void EveryVariant_HasANameOfItsOwn_AndAKernel_JoinedAndNot()
    {
        UpdateVariant[] all = [.. UpdateVariant.All];
        Assert.HasCount(all.Length, all.Select(v => v.Name).Distinct().ToArray());
        foreach (UpdateVariant variant in all)
        {
            Assert.IsTrue(KernelCatalog.Supports(variant.Definition), variant.Name);
            Assert.IsTrue(KernelCatalog.Supports(new JoinedDefinition(variant.Definition)), variant.Name);
        }
    }

    [TestMethod]
    public void EveryOperatorOfTrainingGraphs_HasAKernel()
    {
        foreach (OperatorDefinition definition in OperatorTable.All) Assert.IsTrue(KernelCatalog.Supports(definition), definition.Name);
    }

    [TestMethod]
    public void LinksWithoutAKernel_AreToldApart_ByTheLinksAndNotByTheName()
    {
        var parameter = new ParameterSpec("w", ElementType.Float, [2], true);
        UpdateDefinition Of(params UpdateLink[] links) => UpdateDefinition.Of(new UpdateRule { Links = [.. links] }, parameter);
        Assert.IsFalse(KernelCatalog.Supports(Of(new ClipGradientValue(1), new ScaleByAdam())));
        Assert.IsFalse(KernelCatalog.Supports(Of(new ScaleByAdam(), new ConstrainNorm { EvaluateAt = EvaluateAt.Previous })));
        Assert.IsFalse(KernelCatalog.Supports(Of(new AddCoupledDecay(0.1), new ScaleByAdam())));
    }

    [TestMethod]
    public void UnknownSlot_IsRefused_ByName() => StringAssert.Contains(
        Assert.ThrowsExactly<ArgumentException>(() => Gelu.Tanh.InputIndex("z")).Message, "ortcpr.GeluTanh has no input 'z'; it has x.");

    [TestMethod]
    public void SignatureOfTheLargestVariants_IsTheContract()
    {
        UpdateDefinition operation = UpdateVariant.Named("AdamWCpr_std_inflection_point_amsgrad").Definition;
        Assert.AreEqual(
            "parameter gradient exp_avg exp_avg_sq max_exp_avg_sq step parameter_index learning_rate group_index gradient_scale "
            + "apply beta1 one_minus_beta1 beta2 one_minus_beta2 half_log_beta1 half_log_beta2 epsilon weight_decay lambda kappa "
            + "detector matrix_index kappa_update constraint_rate sample_interval sample_decay max_wait_steps",
            string.Join(' ', operation.Inputs.Select(input => input.Name)));
        Assert.HasCount(7, operation.Outputs);
        Assert.AreEqual("kappa_factor", UpdateVariant.Named("AdamCpr_l1_dependent").Definition.Inputs[^1].Name);
        Assert.AreEqual("warm_start_steps", UpdateVariant.Named("AdamCpr_l1_warm_start").Definition.Inputs[^1].Name);
        Assert.AreEqual("constraint_rate", UpdateVariant.Named("AdamCpr_l1_uniform").Definition.Inputs[^1].Name);
        Assert.AreEqual("epsilon", UpdateVariant.Named("Adam").Definition.Inputs[^1].Name);
    }

    [TestMethod]
    public void TwoDomains_ServeTheirSessions_SideBySide()
    {
        using OperatorSession first = new(SquaredNorm.Definition);
        using (new OperatorSession(SquaredNorm.Definition))
        {
        }
        float[] norm = new float[1];
        using OrtValue input = OperatorSession.Value<float>([3, 4], 2);
        using OrtValue output = OperatorSession.Value(norm, 1);
        first.Run(
            new Dictionary<string, OrtValue> { ["gradient"] = input },
            new Dictionary<string, OrtValue> { ["new_squared_norm"] = output });
        Assert.AreEqual(25, norm[0]);
    }

    [TestMethod]
    public void DisposedDomain_CannotBeAdded()
    {
        CustomOpDomain domain = new([KernelCatalog.Find(UpdateVariant.Named("Adam").Definition)!]);
        domain.Dispose();
        domain.Dispose();
        using SessionOptions options = new();
        Assert.ThrowsExactly<ObjectDisposedException>(() => domain.AddTo(options));
    }

    [TestMethod]
    public void WrongNumberOfInputs_IsRefused_WhenTheSessionIsMade()
    {
        UpdateDefinition described = UpdateVariant.Named("Adam").Definition;
        byte[] model = OperatorModel.Of(described, [.. described.Inputs.SkipLast(1)]);
        using CustomOpDomain domain = new([KernelCatalog.Find(UpdateVariant.Named("Adam").Definition)!]);
        using SessionOptions options = new() { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
        domain.AddTo(options);
        Assert.ThrowsExactly<OnnxRuntimeException>(() => new InferenceSession(model, options));
    }
}
