//! What this worker learned from finished calls, and what it makes of a call that is new.

use std::cell::RefCell;

use tollgate_core::Usage;
use tollgate_llm::{BytesPerToken, RequestFacts};

use crate::config::Policy;
use crate::estimate::{Calibration, Call, Class, OutputEstimates};

/// What this worker learned.
pub struct Learned {
    /// Whether output is estimated by what was learned, or by what a call declares.
    learns_output: bool,
    outputs: RefCell<OutputEstimates>,
    prompts: RefCell<Calibration>,
    answers: RefCell<Calibration>,
}

/// What is kept of a call, to learn from it when it has finished.
#[derive(Clone, Debug)]
pub struct Lesson {
    class: Class,
    model: String,
    /// Bytes of the prompt, and what is added to their tokens; `None`: it is not text alone.
    prompt: Option<(u64, u64)>,
    /// Whether the model is another than the call was taken to run.
    is_of_another: bool,
}

impl Lesson {
    /// The model, its name in lower case.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Another model answers, its name in lower case: it teaches how long its own tokens are. How much the asked one would have
    /// generated, and what it would have made of the prompt, nobody learns from it.
    pub fn answered_by(&mut self, model: String) {
        self.is_of_another |= model != self.model;
        self.model = model;
    }
}

impl Learned {
    /// Nothing learned yet. The key must be random and secret.
    pub fn new(policy: &Policy, key: [u8; 16]) -> Self {
        let calibration = || RefCell::new(Calibration::new(policy.bytes_per_token.clone(), key));
        Self {
            learns_output: policy.output_estimate.learns,
            outputs: RefCell::new(OutputEstimates::new(policy.output_estimate.policy, key)),
            prompts: calibration(),
            answers: calibration(),
        }
    }

    /// Tokens of a prompt.
    pub fn input(&self, facts: &RequestFacts, model: &str) -> u64 {
        facts.input_tokens(self.prompts.borrow().ratio(model).bytes_per_token())
    }

    /// Bytes of a model's answers to a token.
    pub fn answer_ratio(&self, model: &str) -> BytesPerToken {
        self.answers.borrow().ratio(model).bytes_per_token()
    }

    /// What is to be learned from a call.
    pub fn lesson(&self, tenant: &str, model: &str, facts: &RequestFacts, input: u64) -> Lesson {
        let call =
            Call { tenant, model, prompt_tokens: input, declared_max: facts.max_output, choices: facts.choices };
        let class = self.outputs.borrow().class(&call);
        let prompt = facts.prompt.is_text().then(|| (facts.prompt.text_bytes, facts.fixed_input_tokens()));
        Lesson { class, model: model.to_owned(), prompt, is_of_another: false }
    }

    /// Tokens that a call will generate, all choices together.
    pub fn output(&self, lesson: &Lesson) -> u64 {
        let outputs = self.outputs.borrow();
        if self.learns_output { outputs.predict(&lesson.class) } else { outputs.cold(&lesson.class) }
    }

    /// Learns from a call that finished: its provider said what it used, and nobody cut it short. `content` is the bytes of text
    /// that it generated.
    pub fn learn(&self, lesson: &Lesson, content: u64, usage: &Usage) {
        let sent = usage.output.saturating_sub(usage.reasoning);
        self.answers.borrow_mut().learn(&lesson.model, content, sent);
        if lesson.is_of_another {
            return;
        }
        self.outputs.borrow_mut().learn(&lesson.class, usage.output);
        if let Some((bytes, added)) = lesson.prompt {
            self.prompts.borrow_mut().learn(&lesson.model, bytes, usage.input.saturating_sub(added));
        }
    }
}
