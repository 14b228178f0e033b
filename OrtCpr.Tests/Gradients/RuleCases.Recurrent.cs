using OrtCpr.Graph;

namespace OrtCpr.Tests.Gradients;

internal static partial class RuleCases
{
    private static RuleCase[] Recurrent =>
    [
        .. new[] { "RNN", "GRU", "LSTM" }.SelectMany(Recurrence),
        // Steps: X, W, R, B, sequence_lens, initial_h, initial_c, P.
        Cell("LSTM", 4, 2, [Lengths(3, 1), States(2), States(2), X(2, 9)], ("direction", "bidirectional")),
        Clipped(4, Cell("LSTM", 4, 1, [null, null, null, Peepholes], ("input_forget", 1), ("clip", 1.2f))),
        Cell("LSTM", 4, 1, [Lengths(2, 3), null, States(1)], ("direction", "reverse"),
            ("activations", new[] { "HardSigmoid", "ScaledTanh", "Softsign" }), ("activation_alpha", new[] { 0.07f, 0.7f }),
            ("activation_beta", new[] { 0.45f, 1.2f })),
        Cell("GRU", 3, 2, [Lengths(3, 1), States(2)], ("direction", "bidirectional"), ("linear_before_reset", 1)),
        Cell("GRU", 3, 1, [], ("linear_before_reset", 1), ("activations", new[] { "Sigmoid", "Affine" }),
            ("activation_alpha", new[] { 0.5f }), ("activation_beta", new[] { 0.1f })),
        Clipped(3, Cell("GRU", 3, 1, [Lengths(3, 2)], ("direction", "reverse"), ("clip", 1.2f))),
        Cell("RNN", 1, 2, [Lengths(3, 1), States(2)], ("direction", "bidirectional"), ("activations", new[] { "Softplus", "Elu" }),
            ("activation_alpha", new[] { 0.7f })),
        // Positive throughout, away from the kink.
        Cell("RNN", 1, 1, [], ("activations", new[] { "LeakyRelu" })) with
            { Inputs = [Between(0.5, 1, 3, 2, 4), Between(0.1, 0.5, 1, 3, 4), Between(0.1, 0.5, 1, 3, 3)] },
        Attentive(1, 2, [null, null, null, null], null, null),
        Attentive(1, 4, [Lengths(2, 3), States(1), States(1), X(1, 9)], Lengths(3, 5), X(1, 5, 4), ("direction", "reverse")),
        Clipped(4, Attentive(1, 2, [Lengths(3, 3), null, null, null], null, null, ("clip", 1.2f))),
        Clipped(4, Attentive(1, 2, [Lengths(3, 2), null, null, Peepholes], Lengths(4, 5), null, ("clip", 1.2f), ("direction", "reverse"))),
        Attentive(2, 2, [Lengths(3, 1), States(2), null, null], Lengths(5, 2), null, ("direction", "bidirectional"), ("input_forget", 1)),
        Attentive(2, 3, [null, null, States(2), X(2, 9)], null, X(2, 5, 3), ("direction", "bidirectional"),
            ("activations", new[] { "HardSigmoid", "ScaledTanh", "Softsign", "Sigmoid", "Tanh", "Tanh" }),
            ("activation_alpha", new[] { 0.07f, 0.7f }), ("activation_beta", new[] { 0.45f, 1.2f })),
    ];

    private static Feed Peepholes => Between(-0.05, 0.05, 1, 9);

    /// <summary>With clip 1.2: gates that are surely clipped, above and below, and gates that surely are not, so that a
    /// difference of any of the steps stays on one side of the kinks. Up to 6 inputs of at most 2, 3 hidden values of
    /// at most 1 and a cell of at most 3 move a gate by no more than 12·0.03 + 3·0.03 + 3·0.05 = 0.6 about its bias,
    /// and the widest difference, two steps of 1/64 in all weights of a gate, by 12/32 = 0.375 more. The biases are
    /// 2.55 at least, or 0.05 at most.</summary>
    private static RuleCase Clipped(int gates, RuleCase plain)
    {
        plain.Inputs[1] = Between(-0.03, 0.03, plain.Inputs[1]!.Shape);
        plain.Inputs[2] = Between(-0.03, 0.03, plain.Inputs[2]!.Shape);
        double[] biases = [
            .. Between(-0.05, 0.05, gates * 3).Values.Select((b, i) => b + ((((i / 3) + i) % 3) switch { 0 => 0, 1 => 2.6, _ => -2.6 })),
                .. new double[gates * 3]];
        plain.Inputs[3] = Exactly([1, gates * 6], biases);
        return plain with { Steps = [1.0 / 64, 1.0 / 128, 1.0 / 256] };
    }

    /// <summary>The inputs of LSTM, then QW, MW, V, M, memory_seq_lens and AW; the attention's size stands beside the 4
    /// inputs. A memory of 5 steps of width 2.</summary>
    private static RuleCase Attentive(int directions, int size, Feed?[] more, Feed? lengths, Feed? layer,
        params (string Name, object Value)[] attributes)
    {
        RuleCase plain =
            Cell("com.microsoft.AttnLSTM", 4, directions,
                [.. more, X(directions, 3, 6), X(directions, 2, 6), X(directions, 6), X(2, 5, 2), lengths, layer], attributes);
        plain.Inputs[1] = Between(-0.6, 0.6, directions, 12, 4 + size);
        return plain with { Outputs = 3 };
    }

    private static IEnumerable<RuleCase> Recurrence(string op)
    {
        int gates = op switch { "RNN" => 1, "GRU" => 3, _ => 4 };
        RuleCase plain = Cell(op, gates, 1, []);
        yield return plain;
        yield return plain with { Inputs = [.. plain.Inputs.Take(3)], Of = [1] };
        yield return Cell(op, gates, 2, [null, States(2)], ("direction", "bidirectional"));
        yield return Cell(op, gates, 1, [], ("direction", "reverse"));
    }

    /// <summary>3 steps of 2 sequences, 4 inputs, 3 hidden units.</summary>
    private static RuleCase Cell(string op, int gates, int directions, Feed?[] more, params (string Name, object Value)[] attributes)
    {
        Feed?[] inputs = [X(3, 2, 4), Between(-0.6, 0.6, directions, gates * 3, 4), Between(-0.6, 0.6, directions, gates * 3, 3),
            Between(-0.5, 0.5, directions, gates * 6), .. more];
        (string, object)[] texts = [
            .. attributes.Select(a =>
                (a.Name, a.Value is string[] list ? list.Select(System.Text.Encoding.UTF8.GetBytes).ToArray() : a.Value)),
                ("hidden_size", 3)];
        return Case(op, inputs, texts) with { Outputs = op == "LSTM" ? 3 : 2, FloatOnly = true };
    }

    private static Feed States(int directions) => X(directions, 2, 3);

    private static Feed Lengths(params long[] values) => Fed(Ints(values)) with { Type = ElementType.Int32 };
}
