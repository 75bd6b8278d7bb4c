//! [`Route`]: one row of the table from which both the router and the OpenAPI document are made.

use std::sync::Arc;

use axum::http::Method;
use axum::routing::MethodRouter;

use crate::api::context::Context;
use crate::config::Scope;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody who reaches the port.
    Public,
    /// A key with this scope, or with `admin`.
    Needs(Scope),
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the path.
    Path,
    /// In the query string (or, for a body of parameters, in the JSON object).
    Query,
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Any text.
    Text,
    /// A whole number within these bounds.
    Integer(u64, u64),
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// A parameter of a route.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Where it stands.
    pub place: Place,
    /// Whether it must be there.
    pub required: bool,
    /// What it may be.
    pub form: Form,
    /// What it means.
    pub doc: &'static str,
}

impl Parameter {
    /// An optional parameter of the query string.
    #[must_use]
    pub const fn query(name: &'static str, form: Form, doc: &'static str) -> Parameter {
        Parameter { name, place: Place::Query, required: false, form, doc }
    }

    /// A part of the path.
    #[must_use]
    pub const fn path(name: &'static str, form: Form, doc: &'static str) -> Parameter {
        Parameter { name, place: Place::Path, required: true, form, doc }
    }

    /// The same, but it must be there.
    #[must_use]
    pub const fn required(mut self) -> Parameter {
        self.required = true;
        self
    }
}

/// What a body holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestBody {
    /// Nothing is read.
    None,
    /// Events.
    Events,
    /// The parameters of the route as a JSON object.
    Parameters,
    /// A JSON object of this schema.
    Object(&'static str),
}

/// One row of the table.
#[derive(Debug, Clone)]
pub struct Route {
    /// The method; `HEAD` goes with `GET`.
    pub method: Method,
    /// The path, with `{name}` for its parameters.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// What its body holds.
    pub body: RequestBody,
    /// The status of a good answer.
    pub good: &'static str,
    /// The media types of a good answer, the default first.
    pub answers: &'static [&'static str],
    /// The name of the answer's schema in the OpenAPI document, for answers in JSON.
    pub schema: &'static str,
    /// What answers it.
    pub handler: MethodRouter<Arc<Context>>,
}
