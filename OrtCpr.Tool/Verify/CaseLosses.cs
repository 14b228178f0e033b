using OrtCpr.Graph.Losses;

namespace OrtCpr.Tool.Verify;

// The loss that a case with a model names.
internal static class CaseLosses
{
    public static Loss Of(CaseData data)
    {
        string output = data.Text("loss_output"), label = data.Text("label_input", "");
        string kind = data.Text("loss");
        return kind switch
        {
            "cross_entropy" => new CrossEntropyLoss
            {
                Output = output,
                LabelName = label,
                ClassAxis = int.TryParse(data.Text("class_axis", ""), out int axis) ? axis : null,
                IgnoreIndex = long.TryParse(data.Text("ignore_index", ""), out long ignored) ? ignored : -100,
            },
            "mse" => new MseLoss { Output = output, TargetName = label },
            "l1" => new L1Loss { Output = output, TargetName = label },
            "huber" => new HuberLoss { Output = output, TargetName = label },
            "bce_with_logits" => new BceWithLogitsLoss { Output = output, TargetName = label },
            "output_is_loss" => new OutputLoss { Output = output },
            _ => throw new CaseException($"loss '{kind}' is not supported; supported: cross_entropy, mse, l1, huber, bce_with_logits, "
                + "output_is_loss"),
        };
    }
}
